/**
 * The tokens of JSON (RFC 8259) in bytes. Each function takes the place where a token begins and returns the byte
 * after it, or −1 where there is no such token.
 */

export function skipSpace(text: Buffer, start: number): number {
  let pos = start
  // Compact JSON, as every library writes it, has none.
  for (let c = text[pos]; c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09; c = text[++pos]);
  return pos
}

export function endOfString(text: Buffer, start: number): number {
  let pos = start + 1
  for (;;) {
    const c = text[pos]
    if (c === 0x22) return pos + 1
    if (c === undefined || c < 0x20) return -1
    if (c === 0x5c) {
      const length = escapeLength(text, pos)
      if (length === 0) return -1
      pos += length
    } else pos++
  }
}

/** 2 for a simple escape, 6 for `\uXXXX`, 0 for what is none. */
function escapeLength(text: Buffer, pos: number): number {
  switch (text[pos + 1]) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return 2
    case 0x75:
      for (let i = pos + 2; i < pos + 6; i++) if (!isHexDigit(text[i])) return 0
      return 6
    default:
      return 0
  }
}

const isHexDigit = (c: number | undefined): boolean =>
  c !== undefined && ((c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66))

export function endOfNumber(text: Buffer, start: number): number {
  let pos = text[start] === 0x2d ? start + 1 : start
  if (text[pos] === 0x30) pos++
  else {
    const first = pos
    pos = skipDigits(text, pos)
    if (pos === first) return -1
  }
  if (text[pos] === 0x2e) {
    const first = pos + 1
    pos = skipDigits(text, first)
    if (pos === first) return -1
  }
  if (text[pos] === 0x65 || text[pos] === 0x45) {
    pos++
    if (text[pos] === 0x2b || text[pos] === 0x2d) pos++
    const first = pos
    pos = skipDigits(text, first)
    if (pos === first) return -1
  }
  return pos
}

function skipDigits(text: Buffer, start: number): number {
  let pos = start
  for (let c = text[pos]; c !== undefined && c >= 0x30 && c <= 0x39; c = text[++pos]);
  return pos
}

/** `true`, `false` and `null`. */
export function endOfLiteral(text: Buffer, start: number): number {
  const c = text[start]
  const word = c === 0x74 ? 'true' : c === 0x66 ? 'false' : 'null'
  for (let i = 0; i < word.length; i++) if (text[start + i] !== word.charCodeAt(i)) return -1
  return start + word.length
}
