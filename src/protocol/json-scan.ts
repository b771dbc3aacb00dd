import { isUtf8 } from 'node:buffer'

/**
 * One pass over the bytes of a JSON text: proves that it is JSON (RFC 8259) in UTF-8, bounded in depth and without
 * duplicate keys, and notes where the values of the wanted paths stand. The bytes themselves stay what they are, so
 * what was checked is what is forwarded. Duplicate keys are refused because two parsers may see two different
 * messages in them.
 */

/** A tree of keys whose values' places are wanted; each node has an index of its own in `Scanned.at`. */
export interface Wanted {
  readonly index: number
  readonly children: ReadonlyMap<string, Wanted> | undefined
}

/** Where each wanted value stands: `at[2 * index]` is its first byte, `at[2 * index + 1]` the byte after it; −1 if absent. */
export interface Scanned {
  readonly at: readonly number[]
  /** First byte of the text that is not white space: `{`, `[`, … */
  readonly opens: number
}

export type ScanProblem = 'encoding' | 'syntax' | 'depth' | 'duplicate-key'

export const MAX_DEPTH = 128

/**
 * @param duplicates `refuse` for what clients send; `below-wanted-ok` for what upstreams answer, where a repeated key
 *   deep in a result is theirs to repeat, while the keys we read ourselves must still be unambiguous
 */
export function scanJson(
  text: Buffer,
  root: Wanted,
  options: { readonly size: number; readonly duplicates: 'refuse' | 'below-wanted-ok' },
): Scanned | ScanProblem {
  if (!isUtf8(text)) return 'encoding'
  const scanner = new Scanner(text, options.size, options.duplicates === 'refuse')
  return scanner.run(root)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const COMMA = 0x2c
const COLON = 0x3a

/** Keys of one object, compared by hash first; a set takes over where a linear look would become quadratic. */
const LINEAR_KEYS = 12

/** Hash of a key, and where it stands between its quotes. */
interface Key {
  readonly hash: number
  readonly start: number
  readonly end: number
}

class Scanner {
  readonly #text: Buffer
  // An array of small integers: a typed array of this size lives outside the heap and costs ten times as much to make.
  readonly #at: number[]
  readonly #refuseAll: boolean
  #pos = 0
  #problem: ScanProblem = 'syntax'
  #keyHash = 0
  #keyEscaped = false
  /** Hash, start and end of the keys of all open objects, one object after the other. */
  readonly #keys: number[] = []

  constructor(text: Buffer, size: number, refuseAll: boolean) {
    this.#text = text
    this.#at = Array.from<number>({ length: 2 * size }).fill(-1)
    this.#refuseAll = refuseAll
  }

  run(root: Wanted): Scanned | ScanProblem {
    this.#space()
    const opens = this.#text[this.#pos] ?? 0
    if (!this.#value(root, 0)) return this.#problem
    this.#space()
    return this.#pos === this.#text.length ? { at: this.#at, opens } : 'syntax'
  }

  #space(): void {
    const text = this.#text
    // Compact JSON, as every library writes it, has none.
    if ((text[this.#pos] ?? 0x21) > 0x20) return
    let pos = this.#pos
    for (;;) {
      const c = text[pos]
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break
      pos++
    }
    this.#pos = pos
  }

  #value(wanted: Wanted | undefined, depth: number): boolean {
    const start = this.#pos
    const c = this.#text[start]
    let good: boolean
    if (c === QUOTE) good = this.#string()
    else if (c === OPEN_OBJECT) good = this.#object(wanted, depth + 1)
    else if (c === OPEN_ARRAY) good = this.#array(depth + 1)
    else if (c === 0x74) good = this.#literal('true')
    else if (c === 0x66) good = this.#literal('false')
    else if (c === 0x6e) good = this.#literal('null')
    else good = this.#number()
    if (good && wanted !== undefined && wanted.index >= 0) {
      this.#at[2 * wanted.index] = start
      this.#at[2 * wanted.index + 1] = this.#pos
    }
    return good
  }

  #object(wanted: Wanted | undefined, depth: number): boolean {
    if (depth > MAX_DEPTH) return this.#fail('depth')
    const firstKey = this.#keys.length
    const children = wanted?.children
    const compare = this.#refuseAll || children !== undefined
    let many: Set<string> | undefined
    this.#pos++
    this.#space()
    if (this.#text[this.#pos] === CLOSE_OBJECT) {
      this.#pos++
      return true
    }
    for (;;) {
      const start = this.#pos + 1
      if (this.#text[this.#pos] !== QUOTE || !this.#string()) return false
      const end = this.#pos - 1
      let child: Wanted | undefined
      if (compare) {
        const name = this.#keyEscaped ? this.#decoded(start, end) : undefined
        const hash = name === undefined ? this.#keyHash : hashOf(name)
        if (many === undefined && this.#keys.length - firstKey > 3 * LINEAR_KEYS)
          many = this.#gather(firstKey)
        if (this.#seen(firstKey, many, { hash, start, end })) return this.#fail('duplicate-key')
        if (children !== undefined) child = children.get(name ?? this.#text.toString('utf8', start, end))
      }
      this.#space()
      if (this.#text[this.#pos] !== COLON) return false
      this.#pos++
      this.#space()
      if (!this.#value(child, depth)) return false
      this.#space()
      const c = this.#text[this.#pos++]
      if (c === COMMA) {
        this.#space()
        continue
      }
      this.#keys.length = firstKey
      return c === CLOSE_OBJECT
    }
  }

  #array(depth: number): boolean {
    if (depth > MAX_DEPTH) return this.#fail('depth')
    this.#pos++
    this.#space()
    if (this.#text[this.#pos] === CLOSE_ARRAY) {
      this.#pos++
      return true
    }
    for (;;) {
      if (!this.#value(undefined, depth)) return false
      this.#space()
      const c = this.#text[this.#pos++]
      if (c === COMMA) {
        this.#space()
        continue
      }
      return c === CLOSE_ARRAY
    }
  }

  /** Notes a key of the open object; true when it was there before. */
  #seen(firstKey: number, many: Set<string> | undefined, key: Key): boolean {
    if (many !== undefined) {
      const name = this.#decoded(key.start, key.end)
      if (many.has(name)) return true
      many.add(name)
      return false
    }
    const keys = this.#keys
    for (let i = firstKey; i < keys.length; i += 3) {
      if (keys[i] === key.hash && this.#sameKey(keys[i + 1], keys[i + 2], key)) return true
    }
    keys.push(key.hash, key.start, key.end)
    return false
  }

  /** A set of strings, since the hashes of V8 are seeded: keys made to collide in ours would else be compared each with each. */
  #gather(firstKey: number): Set<string> {
    const many = new Set<string>()
    const keys = this.#keys
    for (let i = firstKey; i < keys.length; i += 3)
      many.add(this.#decoded(keys[i + 1] ?? 0, keys[i + 2] ?? 0))
    return many
  }

  #sameKey(start = 0, end = 0, key: Key): boolean {
    const text = this.#text
    if (end - start === key.end - key.start && sameBytes(text, start, end, key.start)) return true
    if (!isEscaped(text, start, end) && !isEscaped(text, key.start, key.end)) return false
    return this.#decoded(start, end) === this.#decoded(key.start, key.end)
  }

  #decoded(start: number, end: number): string {
    return JSON.parse(this.#text.toString('utf8', start - 1, end + 1)) as string
  }

  #string(): boolean {
    const text = this.#text
    let pos = this.#pos + 1
    let hash = 0
    this.#keyEscaped = false
    for (;;) {
      const c = text[pos]
      if (c === QUOTE) break
      if (c === undefined || c < 0x20) return false
      if (c === BACKSLASH) {
        const length = escapeLength(text, pos)
        if (length === 0) return false
        this.#keyEscaped = true
        pos += length
        continue
      }
      hash = (Math.imul(hash, 31) + c) | 0
      pos++
    }
    this.#keyHash = hash
    this.#pos = pos + 1
    return true
  }

  #number(): boolean {
    const text = this.#text
    let pos = this.#pos
    if (text[pos] === 0x2d) pos++
    if (text[pos] === 0x30) pos++
    else {
      const digits = skipDigits(text, pos)
      if (digits === pos) return false
      pos = digits
    }
    if (text[pos] === 0x2e) {
      const digits = skipDigits(text, pos + 1)
      if (digits === pos + 1) return false
      pos = digits
    }
    if (text[pos] === 0x65 || text[pos] === 0x45) {
      pos++
      if (text[pos] === 0x2b || text[pos] === 0x2d) pos++
      const digits = skipDigits(text, pos)
      if (digits === pos) return false
      pos = digits
    }
    this.#pos = pos
    return true
  }

  #literal(word: string): boolean {
    for (let i = 0; i < word.length; i++) if (this.#text[this.#pos + i] !== word.charCodeAt(i)) return false
    this.#pos += word.length
    return true
  }

  #fail(problem: ScanProblem): false {
    this.#problem = problem
    return false
  }
}

function sameBytes(text: Buffer, start: number, end: number, other: number): boolean {
  for (let pos = start; pos < end; pos++) if (text[pos] !== text[other + pos - start]) return false
  return true
}

function isEscaped(text: Buffer, start: number, end: number): boolean {
  for (let pos = start; pos < end; pos++) if (text[pos] === BACKSLASH) return true
  return false
}

/** The hash that `#string` makes of the same key written without escapes. */
function hashOf(name: string): number {
  let hash = 0
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 31) + byte) | 0
  return hash
}

/** 2 for a simple escape, 6 for `\uXXXX`, 0 for what is none. */
function escapeLength(text: Buffer, pos: number): number {
  const c = text[pos + 1]
  if (c !== 0x75) return c !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(c)) ? 2 : 0
  for (let i = pos + 2; i < pos + 6; i++) if (!isHexDigit(text[i])) return 0
  return 6
}

const isHexDigit = (c: number | undefined): boolean =>
  c !== undefined && ((c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66))

function skipDigits(text: Buffer, from: number): number {
  let pos = from
  for (let c = text[pos]; c !== undefined && c >= 0x30 && c <= 0x39; c = text[++pos]);
  return pos
}
