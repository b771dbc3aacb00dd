/**
 * The keys of the objects that are open during a scan: tells a key that was there before, and finds wanted ones,
 * without making a string for keys that are written as they are read, which is nearly all of them.
 */

/** Up to so many keys are compared one by one; beyond it that would become quadratic, and a set takes over. */
const FEW = 12

export class Keyring {
  readonly #text: Buffer
  /** Start and end of each key of all open objects, quotes included, one object after the other. */
  readonly #places: number[] = []
  #large: Map<number, Set<string>> | undefined

  constructor(text: Buffer) {
    this.#text = text
  }

  /** Begins an object; returns what `add` and `close` want of it. */
  open(): number {
    return this.#places.length
  }

  /** Notes the key whose quotes stand at `start` and `end - 1`. False: the object has it already. */
  add(mine: number, start: number, end: number): boolean {
    const places = this.#places
    if (places.length - mine >= 2 * FEW) return this.#addToMany(mine, start, end)
    for (let i = mine; i < places.length; i += 2) {
      if (this.#same(places[i] ?? 0, places[i + 1] ?? 0, start, end)) return false
    }
    places.push(start, end)
    return true
  }

  close(mine: number): void {
    this.#places.length = mine
    this.#large?.delete(mine)
  }

  #addToMany(mine: number, start: number, end: number): boolean {
    this.#large ??= new Map()
    let names = this.#large.get(mine)
    if (names === undefined) {
      names = new Set()
      const places = this.#places
      for (let i = mine; i < places.length; i += 2)
        names.add(decoded(this.#text, places[i] ?? 0, places[i + 1] ?? 0))
      this.#large.set(mine, names)
    }
    const size = names.size
    return names.add(decoded(this.#text, start, end)).size > size
  }

  #same(a: number, aEnd: number, b: number, bEnd: number): boolean {
    const text = this.#text
    if (aEnd - a === bEnd - b) {
      let i = 1
      while (i < bEnd - b && text[a + i] === text[b + i]) i++
      if (i === bEnd - b) return true
    }
    // Written differently, two keys are the same only if one of them has escapes.
    if (!hasEscape(text, a, aEnd) && !hasEscape(text, b, bEnd)) return false
    return decoded(text, a, aEnd) === decoded(text, b, bEnd)
  }
}

/** Which of `names`, all ASCII, the key between the quotes is; −1 for none. */
export function indexOfKey(
  text: Buffer,
  names: readonly { readonly key: string }[],
  start: number,
  end: number,
): number {
  const length = end - start - 2
  for (let i = 0; i < names.length; i++) {
    const name = names[i]?.key ?? ''
    // A byte of an ASCII name is a character of it.
    if (name.length !== length) continue
    let at = 0
    while (at < length && name.charCodeAt(at) === text[start + 1 + at]) at++
    if (at === length) return i
  }
  if (!hasEscape(text, start, end)) return -1
  const name = decoded(text, start, end)
  return names.findIndex(({ key }) => key === name)
}

function hasEscape(text: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (text[i] === 0x5c) return true
  return false
}

const decoded = (text: Buffer, start: number, end: number): string =>
  JSON.parse(text.toString('utf8', start, end)) as string
