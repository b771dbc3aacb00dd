import type { SeenTip, Tips } from './entry.ts'
import type { Signer } from './signer.ts'

/*
 * The chains of a shared record are joined by what their writers say of each other: a signed entry in one chain names
 * the tips of the others, so whoever cuts or removes one would have to cut all that have seen it, and those are anchored
 * elsewhere.
 */

/** Of the line that holds such an entry. No text inside another entry can hold it: its quotes would be escaped. */
export const TIPS_START = '{"type":"tips"'

const statement = (writer: string, atMs: number, tips: readonly SeenTip[]): string =>
  `castellan audit tips v1\0${JSON.stringify([writer, atMs, tips.map(({ chain, seq, mac }) => [chain, seq, mac])])}`

/** @param writer the chain that the entry will be in */
export const makeTips = (writer: string, atMs: number, tips: readonly SeenTip[], signer: Signer): Tips => ({
  type: 'tips',
  atMs,
  tips,
  sig: signer.sign(statement(writer, atMs, tips)),
})

export const isSigned = (writer: string, { atMs, tips, sig }: Tips, signer: Signer): boolean =>
  signer.verify(statement(writer, atMs, tips), sig)

/** The entries of this type in a body. Throws `SyntaxError` for a body that is not one of ours: verify the MAC first. */
export const tipsIn = (body: string): Tips[] =>
  body.startsWith(TIPS_START) || body.includes(`\n${TIPS_START}`)
    ? body
        .split('\n')
        .filter((line) => line.startsWith(TIPS_START))
        .map(read)
    : []

function read(line: string): Tips {
  const entry = JSON.parse(line) as Partial<Tips>
  const { tips, sig } = entry
  if (typeof sig === 'string' && Array.isArray(tips) && tips.every(isTip)) return entry as Tips
  throw new SyntaxError('an entry about the other chains does not hold what such an entry holds')
}

function isTip(value: unknown): boolean {
  const { chain, seq, mac } = (value ?? {}) as Partial<SeenTip>
  return typeof chain === 'string' && typeof mac === 'string' && Number.isSafeInteger(seq)
}
