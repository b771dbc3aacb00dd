import { randomBytes } from 'node:crypto'

declare const brand: unique symbol
type Branded<B extends string> = string & { readonly [brand]: B }

/** Identity of a stored resource: `<prefix>_<26 characters>`. Names cannot hold `_`, so a uid never looks like a name. */
export type Uid = Branded<'Uid'>
/** Identity of a legacy MCP session on our side: 32 visible ASCII characters, 192 random bits. */
export type SessionId = Branded<'SessionId'>
/** Distinguishes one life of a process from the next in every id that it mints on a wire (law 11). */
export type BootEpoch = Branded<'BootEpoch'>

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz'

/** 10 characters of time (ms), then 16 of randomness: sorts by creation, 80 random bits. */
export function mintUid(prefix: string, nowMs: number): Uid {
  let time = ''
  for (let rest = nowMs, i = 0; i < 10; i++, rest = Math.floor(rest / 32))
    time = CROCKFORD.charAt(rest % 32) + time
  let random = ''
  for (const byte of randomBytes(16)) random += CROCKFORD.charAt(byte & 31)
  return `${prefix}_${time}${random}` as Uid
}

export const isUid = (text: string): text is Uid => /^[a-z]+_[0-9a-hjkmnp-tv-z]{26}$/.test(text)

export const mintSessionId = (): SessionId => randomBytes(24).toString('base64url') as SessionId

export const isSessionId = (text: string): boolean => /^[\w-]{32}$/.test(text)

export const mintBootEpoch = (): BootEpoch => randomBytes(6).toString('base64url') as BootEpoch
