import { lastAnchor } from './anchors.ts'
import { isMac, sameMac, type Chain, type SegmentRow } from './chain.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { ChainReader } from './record.ts'
import type { Signer } from './signer.ts'

/** Where a chain goes on. */
export interface Tip {
  readonly seq: number
  readonly mac: Uint8Array
}

/**
 * Finds the tip at start and holds it against the newest anchor. A tip newer than the anchor is what a crash leaves;
 * anything else means that the record or the anchors were changed while nobody was writing. Only the newest anchor
 * and what follows it are looked at: all the rest is for `verify`, which takes as long as the record is.
 * @returns the tip, or a private sentence that says what does not fit
 */
export async function recoverTip(
  home: string,
  chain: Chain,
  signer: Signer,
  record: ChainReader,
): Promise<Result<Tip, string>> {
  const newest = lastAnchor(home, chain.name, signer)
  if (newest !== undefined && newest.anchor === undefined)
    return err(`line ${newest.line} of the anchors is not an anchor of this chain, signed by this key`)
  const base = await archivedTip(chain, signer, record)
  if (base === undefined) return err('a checkpoint is not signed by this key')
  const anchor = newest?.anchor
  if (anchor === undefined) return walk(chain, record, base)
  const anchored = { seq: anchor.seq, mac: Buffer.from(anchor.mac, 'base64url') }
  // The archive is what the anchor vouches for once it has overtaken it.
  if (anchored.seq < base.seq) return walk(chain, record, base)
  const row = anchored.seq === base.seq ? base : await record.segment(anchored.seq)
  if (row === undefined) return err(`segment ${anchored.seq} was anchored and is not there`)
  if (!sameMac(row.mac, anchored.mac)) return err(`segment ${anchored.seq} is not the one that was anchored`)
  const doubt = anchored.seq === base.seq ? undefined : await checkRow(chain, record, base, row as SegmentRow)
  return doubt === undefined ? walk(chain, record, anchored) : err(doubt)
}

/** The end of what has been archived, or the genesis. Undefined: the newest checkpoint is not ours. */
async function archivedTip(chain: Chain, signer: Signer, record: ChainReader): Promise<Tip | undefined> {
  const newest = (await record.checkpoints()).at(-1)
  if (newest === undefined) return { seq: 0, mac: chain.genesis }
  if (!signer.verify(checkpointStatement(chain.name, newest.content), newest.sig)) return undefined
  return { seq: newest.archive.toSeq, mac: Buffer.from(newest.archive.mac, 'base64url') }
}

/** What is signed for a checkpoint. */
export const checkpointStatement = (chain: string, content: string): string =>
  `castellan audit checkpoint v1\0${JSON.stringify([chain, content])}`

async function checkRow(
  chain: Chain,
  record: ChainReader,
  base: Tip,
  row: SegmentRow,
): Promise<string | undefined> {
  const before = row.seq - 1 === base.seq ? base : await record.segment(row.seq - 1)
  if (before === undefined) return `segment ${row.seq - 1} is missing`
  if (!isMac(before.mac)) return `segment ${before.seq} has been changed`
  return sameMac(chain.mac(row, before.mac), row.mac) ? undefined : `segment ${row.seq} has been changed`
}

async function walk(chain: Chain, record: ChainReader, from: Tip): Promise<Result<Tip, string>> {
  let tip = from
  for await (const row of record.segmentsAfter(from.seq)) {
    if (row.seq !== tip.seq + 1) return err(`segment ${tip.seq + 1} is missing`)
    if (!sameMac(chain.mac(row, tip.mac), row.mac)) return err(`segment ${row.seq} has been changed`)
    tip = { seq: row.seq, mac: row.mac }
  }
  return ok(tip)
}
