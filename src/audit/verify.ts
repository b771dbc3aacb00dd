import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAnchors, type Anchor } from './anchors.ts'
import { readArchive } from './archive.ts'
import { createChain, isMac, sameMac, type Chain, type SegmentRow } from './chain.ts'
import { createFindings, type Finding, type Findings } from './findings.ts'
import { checkpointStatement } from './recover.ts'
import type { ChainReader, Checkpoint, SettledReader, Soon } from './record.ts'
import { createSigner, type Signer } from './signer.ts'

/** One chain with all that vouches for it. */
export interface ChainSource {
  readonly chain: string
  /** @returns undefined where there is nothing to read. Throws what the database or the file system throws. */
  open(): Soon<SettledReader | undefined>
  /** Texts of anchor files, each with what to call it. */
  anchors(): readonly (readonly [text: string, where: string])[]
  /** Where its archive files are. Undefined: kept elsewhere, and their signed checkpoints stand for them. */
  readonly archive: string | undefined
  /** What it lies in, for messages. */
  readonly place: string
}

export interface VerifyKeys {
  readonly macKey: Uint8Array
  readonly signKey: Uint8Array
}

export interface VerifyReport {
  readonly ok: boolean
  readonly chain: string
  /** Segments and entries that were read and whose MAC was computed. */
  readonly segments: number
  readonly entries: number
  readonly archives: number
  readonly anchors: number
  readonly tip: { readonly seq: number; readonly atMs: number } | undefined
  readonly lastAnchor: { readonly seq: number; readonly atMs: number } | undefined
  /** Newest segment that other chains of the record have seen, and how many of them have seen any. */
  readonly seen?: { readonly seq: number; readonly by: number } | undefined
  readonly findings: readonly Finding[]
}

/** Anchors follow within a second or so; a record that goes on longer without one has lost some, or a full disk. */
const MAX_UNANCHORED_MS = 60_000

/**
 * Reads a whole chain, beside a daemon that writes it or without one, and finds whatever differs from what was
 * written. It proves that each segment is there, unchanged and in order up to the last anchor; a tip newer than its
 * anchor is what a crash leaves and is accepted.
 * @param passed is given each segment whose MAC fits
 */
export async function verifyChain(
  source: ChainSource,
  keys: VerifyKeys,
  passed: (row: SegmentRow) => void = () => undefined,
): Promise<VerifyReport> {
  const signer = createSigner(keys.signKey)
  const findings = createFindings()
  // Anchors first: a tip that is committed meanwhile is newer than they are, never older.
  const anchors = readAnchors(source, signer, findings)
  const walk = createWalk(createChain(source.chain, keys.macKey), { anchors, findings, passed })
  let archives = 0
  const damage = await reading(async () => {
    const record = await source.open()
    if (record === undefined) return findings.add('missing', {}, `there is no ${source.place}`)
    try {
      await record.snapshot(async () => {
        archives = await readCheckpoints(source, signer, { record, walk, findings })
        for await (const row of record.segmentsAfter(walk.seq())) walk.step(row, `segment ${row.seq}`)
      })
    } finally {
      await record.close()
    }
  })
  if (damage !== undefined)
    findings.add('unreadable', { segment: walk.seq() + 1 }, `${source.place} cannot be read: ${damage}`)
  walk.end()
  const last = anchors.newest
  return {
    ok: findings.all().length === 0,
    chain: source.chain,
    ...walk.counted(),
    archives,
    anchors: anchors.count,
    lastAnchor: last === undefined ? undefined : { seq: last.seq, atMs: last.atMs },
    findings: findings.all(),
  }
}

/** @returns what SQLite, zlib or the parser said of a file that is not what it was; a bug is thrown on */
async function reading(read: () => Soon<void>): Promise<string | undefined> {
  try {
    await read()
    return undefined
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return error.message
    throw error
  }
}

interface Anchors {
  readonly count: number
  readonly newest: Anchor | undefined
  /** MACs that a segment was anchored with: more than one is a contradiction that `walk` finds. */
  at(seq: number): readonly Anchor[]
}

function readAnchors(source: ChainSource, signer: Signer, findings: Findings): Anchors {
  const bySeq = new Map<number, Anchor[]>()
  let count = 0
  let newest: Anchor | undefined
  const take = (text: string, where: string): void => {
    let before = 0
    for (const { line, anchor } of parseAnchors(text, source.chain, signer)) {
      if (anchor === undefined) {
        findings.add('anchor', {}, `line ${line} of ${where} is not an anchor signed by this daemon`)
        continue
      }
      if (anchor.seq < before)
        findings.add('anchor', { segment: anchor.seq }, `line ${line} of ${where} is out of order`)
      before = anchor.seq
      count++
      bySeq.set(anchor.seq, [...(bySeq.get(anchor.seq) ?? []), anchor])
      if (anchor.seq >= (newest?.seq ?? 0)) newest = anchor
    }
  }
  for (const [text, where] of source.anchors()) take(text, where)
  return { count, newest, at: (seq) => bySeq.get(seq) ?? [] }
}

interface Walk {
  /** Last segment that was passed. */
  readonly seq: () => number
  /** @param where for the message: which segment, and in which file */
  readonly step: (row: SegmentRow, where: string) => void
  /** Goes on after segments that are not looked at. */
  readonly jump: (seq: number, mac: Uint8Array) => void
  readonly end: () => void
  readonly counted: () => Pick<VerifyReport, 'segments' | 'entries' | 'tip'>
}

interface Walking {
  readonly anchors: Anchors
  readonly findings: Findings
  readonly passed: (row: SegmentRow) => void
}

function createWalk(chain: Chain, { anchors, findings, passed }: Walking): Walk {
  let previous = { seq: 0, mac: chain.genesis }
  let tip: VerifyReport['tip']
  let unanchoredSinceMs: number | undefined
  let segments = 0
  let entries = 0

  function step(row: SegmentRow, where: string): void {
    const { seq, lastAtMs } = row
    const place = { segment: seq, atMs: row.firstAtMs }
    if (!isWellFormed(row) || seq <= previous.seq)
      return findings.add('changed', { segment: previous.seq + 1 }, `${where} is not a segment`)
    if (seq !== previous.seq + 1)
      // What stands before it is unknown, and so is what its MAC should be.
      findings.add(
        'missing',
        { segment: previous.seq + 1, to: seq - 1, atMs: tip?.atMs },
        'segments are missing',
      )
    else if (!isMac(row.mac) || !sameMac(row.mac, chain.mac(row, previous.mac)))
      findings.add('changed', place, `${where} is not what was written, or does not follow the one before it`)
    else passed(row)
    checkAnchors(seq, row.mac, place)
    if (seq > (anchors.newest?.seq ?? 0)) unanchoredSinceMs ??= lastAtMs
    previous = { seq, mac: isMac(row.mac) ? row.mac : chain.genesis }
    tip = { seq, atMs: lastAtMs }
    segments++
    entries += row.count
  }

  function checkAnchors(seq: number, mac: Uint8Array, place: { segment: number; atMs?: number }): void {
    for (const anchor of anchors.at(seq))
      if (Buffer.from(mac).toString('base64url') !== anchor.mac)
        findings.add(
          'anchor',
          { ...place, atMs: anchor.atMs },
          'the segment is not the one that was anchored',
        )
  }

  function jump(seq: number, mac: Uint8Array): void {
    checkAnchors(seq, mac, { segment: seq })
    previous = { seq, mac }
  }

  function end(): void {
    const { newest } = anchors
    if (newest !== undefined && newest.seq > previous.seq)
      findings.add(
        'cut off',
        { segment: previous.seq + 1, to: newest.seq, atMs: tip?.atMs },
        'the newest segments that were anchored are missing',
      )
    if (tip !== undefined && tip.atMs - (unanchoredSinceMs ?? tip.atMs) > MAX_UNANCHORED_MS)
      findings.add(
        'anchor',
        { segment: (newest?.seq ?? 0) + 1, to: tip.seq, atMs: unanchoredSinceMs },
        'the record goes on for over a minute after its last anchor: the anchors were cut or replaced, or could not be written',
      )
  }

  return { seq: () => previous.seq, step, jump, end, counted: () => ({ segments, entries, tip }) }
}

/** What a row is once somebody has made the table anew without its constraints. */
const isWellFormed = ({ seq, count, firstAtMs, lastAtMs, body }: SegmentRow): boolean =>
  [seq, count, firstAtMs, lastAtMs].every((value) => Number.isSafeInteger(value)) && typeof body === 'string'

interface Reading {
  readonly record: ChainReader
  readonly walk: Walk
  readonly findings: Findings
}

/** @returns archive files that were read */
async function readCheckpoints(
  source: ChainSource,
  signer: Signer,
  { record, walk, findings }: Reading,
): Promise<number> {
  let read = 0
  for (const checkpoint of await record.checkpoints()) {
    const { archive, content, sig } = checkpoint
    const { fromSeq, toSeq } = archive
    if (!signer.verify(checkpointStatement(source.chain, content), sig)) {
      findings.add('changed', { segment: fromSeq, to: toSeq }, 'a checkpoint is not signed by this daemon')
      continue
    }
    if (fromSeq !== walk.seq() + 1)
      findings.add('missing', { segment: walk.seq() + 1, to: fromSeq - 1 }, 'a checkpoint is missing')
    const rows =
      source.archive === undefined ? undefined : await readArchived(source.archive, checkpoint, findings)
    if (rows === undefined) walk.jump(toSeq, Buffer.from(archive.mac, 'base64url'))
    else {
      read++
      for (const row of rows) walk.step(row, `segment ${row.seq} in ${archive.file}`)
    }
  }
  return read
}

async function readArchived(
  folder: string,
  { archive }: Checkpoint,
  findings: Findings,
): Promise<SegmentRow[] | undefined> {
  const place = { segment: archive.fromSeq, to: archive.toSeq, atMs: archive.firstAtMs }
  let rows: SegmentRow[] | undefined
  const damage = await reading(() => {
    const bytes = readFileSync(join(folder, archive.file))
    if (hash('sha256', bytes, 'hex') === archive.sha256) rows = readArchive(bytes)
    else findings.add('changed', place, `${archive.file} is not the file that was archived`)
  })
  if (damage !== undefined) findings.add('missing', place, `${archive.file} cannot be read`)
  return rows
}
