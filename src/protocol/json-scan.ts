import { isUtf8 } from 'node:buffer'
import { indexOfKey, Keyring } from './json-keys.ts'
import { endOfLiteral, endOfNumber, endOfString, skipSpace } from './json-tokens.ts'

/**
 * One pass over the bytes of a JSON text: proves that it is JSON (RFC 8259) in UTF-8, bounded in depth and without
 * duplicate keys, and notes where the values of the wanted paths stand. The bytes themselves stay what they are, so
 * what was checked is what is forwarded. Duplicate keys are refused because two parsers may see two different
 * messages in them.
 */

/** A tree of keys whose values' places are wanted; each node has an index of its own in `Scanned.at`. */
export interface Wanted {
  readonly index: number
  readonly children: readonly WantedMember[] | undefined
}

export interface WantedMember {
  /** ASCII. */
  readonly key: string
  readonly value: Wanted
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
 * @param options.size one more than the largest index in `root`
 * @param options.duplicates `refuse` for what clients send; `below-wanted-ok` for what upstreams answer, where a
 *   repeated key deep in a result is theirs to repeat, while the keys we read ourselves must still be unambiguous
 */
export function scanJson(
  text: Buffer,
  root: Wanted,
  options: { readonly size: number; readonly duplicates: 'refuse' | 'below-wanted-ok' },
): Scanned | ScanProblem {
  if (!isUtf8(text)) return 'encoding'
  // An array of small integers: a typed array of this size lives outside the heap and costs ten times as much to make.
  const at: number[] = []
  for (let i = 0; i < options.size; i++) at.push(-1, -1)
  const start = skipSpace(text, 0)
  const end = new Scan(text, at, options.duplicates === 'refuse').value(start, root, 0)
  if (end < 0) return PROBLEMS[-end] ?? 'syntax'
  return skipSpace(text, end) === text.length ? { at, opens: text[start] ?? 0 } : 'syntax'
}

/** Positions are never negative, so a negative one says what is wrong without an object for it. */
const SYNTAX = -1
const DEPTH = -2
const DUPLICATE = -3
const PROBLEMS: readonly (ScanProblem | undefined)[] = [undefined, 'syntax', 'depth', 'duplicate-key']

const QUOTE = 0x22
const COMMA = 0x2c

class Scan {
  readonly #text: Buffer
  readonly #at: number[]
  readonly #keys: Keyring
  readonly #refuseAll: boolean

  constructor(text: Buffer, at: number[], refuseAll: boolean) {
    this.#text = text
    this.#at = at
    this.#keys = new Keyring(text)
    this.#refuseAll = refuseAll
  }

  /** @returns the byte after the value that begins at `start`, or a problem */
  value(start: number, wanted: Wanted | undefined, depth: number): number {
    const text = this.#text
    const c = text[start]
    let end: number
    if (c === QUOTE) end = endOfString(text, start)
    else if (c === 0x7b) end = this.#object(start, wanted, depth + 1)
    else if (c === 0x5b) end = this.#array(start, depth + 1)
    else if (c === 0x74 || c === 0x66 || c === 0x6e) end = endOfLiteral(text, start)
    else end = endOfNumber(text, start)
    if (end >= 0 && wanted !== undefined && wanted.index >= 0) {
      this.#at[2 * wanted.index] = start
      this.#at[2 * wanted.index + 1] = end
    }
    return end
  }

  #object(start: number, wanted: Wanted | undefined, depth: number): number {
    if (depth > MAX_DEPTH) return DEPTH
    const text = this.#text
    const children = wanted?.children
    const compare = this.#refuseAll || children !== undefined
    let pos = skipSpace(text, start + 1)
    if (text[pos] === 0x7d) return pos + 1
    const keys = this.#keys
    const mine = keys.open()
    for (;;) {
      if (text[pos] !== QUOTE) return SYNTAX
      const keyEnd = endOfString(text, pos)
      if (keyEnd < 0) return SYNTAX
      if (compare && !keys.add(mine, pos, keyEnd)) return DUPLICATE
      const child =
        children === undefined ? undefined : children[indexOfKey(text, children, pos, keyEnd)]?.value
      pos = skipSpace(text, keyEnd)
      if (text[pos] !== 0x3a) return SYNTAX
      const end = this.value(skipSpace(text, pos + 1), child, depth)
      if (end < 0) return end
      pos = skipSpace(text, end)
      const c = text[pos]
      if (c === COMMA) pos = skipSpace(text, pos + 1)
      else {
        keys.close(mine)
        return c === 0x7d ? pos + 1 : SYNTAX
      }
    }
  }

  #array(start: number, depth: number): number {
    if (depth > MAX_DEPTH) return DEPTH
    const text = this.#text
    let pos = skipSpace(text, start + 1)
    if (text[pos] === 0x5d) return pos + 1
    for (;;) {
      const end = this.value(pos, undefined, depth)
      if (end < 0) return end
      pos = skipSpace(text, end)
      const c = text[pos]
      if (c === COMMA) pos = skipSpace(text, pos + 1)
      else return c === 0x5d ? pos + 1 : SYNTAX
    }
  }
}
