import type { Span } from './message.ts'

/**
 * Places inside a JSON text that is already known to be valid (it went through `scanJson`). For lists and other
 * messages off the hot path, where the interesting keys are not known beforehand.
 */

/** One member of an object: its decoded key, where that key stands, and the place of the value. */
export interface Member extends Span {
  readonly key: string
  readonly keyStart: number
}

/** The members of the object at `span` in the order of the text, repeated keys included. Empty when it is no object. */
export function memberList(text: Buffer, span: Span): Member[] {
  const found: Member[] = []
  if (text[span.start] !== 0x7b) return found
  let pos = skipSpace(text, span.start + 1)
  while (text[pos] === 0x22) {
    const keyStart = pos
    const keyEnd = skipString(text, pos)
    const key = JSON.parse(text.toString('utf8', pos, keyEnd)) as string
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const end = skipValue(text, start)
    found.push({ key, keyStart, start, end })
    pos = skipSpace(text, end)
    if (text[pos] !== 0x2c) break
    pos = skipSpace(text, pos + 1)
  }
  return found
}

/** The members by key; of a repeated key the last, as with `JSON.parse`. */
export const members = (text: Buffer, span: Span): Map<string, Member> =>
  new Map(memberList(text, span).map((member) => [member.key, member]))

/** The places of the elements of the array at `span`. Empty when it is no array. */
export function elements(text: Buffer, span: Span): Span[] {
  const found: Span[] = []
  if (text[span.start] !== 0x5b) return found
  let pos = skipSpace(text, span.start + 1)
  while (text[pos] !== 0x5d && pos < span.end) {
    const end = skipValue(text, pos)
    found.push({ start: pos, end })
    pos = skipSpace(text, end)
    if (text[pos] === 0x2c) pos = skipSpace(text, pos + 1)
  }
  return found
}

/** From the first byte of a value to the byte after it. */
function skipValue(text: Buffer, start: number): number {
  const c = text[start]
  if (c === 0x22) return skipString(text, start)
  if (c !== 0x7b && c !== 0x5b) return skipScalar(text, start)
  let depth = 0
  let pos = start
  while (pos < text.length) {
    const at = text[pos]
    if (at === 0x22) {
      pos = skipString(text, pos)
      continue
    }
    if (at === 0x7b || at === 0x5b) depth++
    if ((at === 0x7d || at === 0x5d) && --depth === 0) return pos + 1
    pos++
  }
  return pos
}

function skipString(text: Buffer, start: number): number {
  let pos = start + 1
  while (text[pos] !== 0x22 && pos < text.length) pos += text[pos] === 0x5c ? 2 : 1
  return pos + 1
}

function skipScalar(text: Buffer, start: number): number {
  let pos = start
  for (
    let c = text[pos];
    c !== undefined && c > 0x20 && c !== 0x2c && c !== 0x7d && c !== 0x5d;
    c = text[++pos]
  );
  return pos
}

function skipSpace(text: Buffer, start: number): number {
  let pos = start
  for (let c = text[pos]; c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09; c = text[++pos]);
  return pos
}
