import { hash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { SegmentRow } from './chain.ts'
import type { ArchiveFile } from './commit-messages.ts'
import type { ChainReader } from './record.ts'

/** Uncompressed size at which an archive file is closed, and what one may hold at most (a segment is 1 to 2 MiB). */
const ARCHIVE_BYTES = 8 * 1024 * 1024
const MAX_BYTES = 4 * ARCHIVE_BYTES

export const archiveDirectory = (home: string): string => join(home, 'audit-archive')

interface ArchivedLine extends Omit<SegmentRow, 'mac'> {
  /** base64url */
  readonly mac: string
}

/**
 * Writes the oldest segments that are due into one file: a line of JSON for each segment, gzipped. Nothing refers to
 * the file until the commit worker has signed a checkpoint for it, so an interrupted one is simply written again.
 *
 * A segment is due when its newest entry is older than `cutoffMs`. Times may lie (a clock that jumped ahead): one
 * later than `nowMs` is no reason to stop, the next segment decides. The tip always stays.
 * @returns undefined when nothing is due
 */
export async function writeArchive(
  home: string,
  record: ChainReader,
  { chain, cutoffMs, nowMs }: { readonly chain: string; readonly cutoffMs: number; readonly nowMs: number },
): Promise<ArchiveFile | undefined> {
  const due = await dueSegments(record, cutoffMs, nowMs)
  const first = due[0]
  const last = due.at(-1)
  if (first === undefined || last === undefined) return undefined
  const text = due.map((row) => `${JSON.stringify(lineOf(row))}\n`).join('')
  const bytes = gzipSync(text)
  const name = `${chain}-${first.seq}-${last.seq}.jsonl.gz`
  writeDurably(archiveDirectory(home), name, bytes)
  return {
    file: name,
    sha256: hash('sha256', bytes, 'hex'),
    fromSeq: first.seq,
    toSeq: last.seq,
    mac: Buffer.from(last.mac).toString('base64url'),
    entries: due.reduce((sum, row) => sum + row.count, 0),
    firstAtMs: Math.min(...due.map((row) => row.firstAtMs)),
    lastAtMs: Math.max(...due.map((row) => row.lastAtMs)),
  }
}

async function dueSegments(record: ChainReader, cutoffMs: number, nowMs: number): Promise<SegmentRow[]> {
  const from = (await record.checkpoints()).at(-1)?.archive.toSeq ?? 0
  const tipSeq = (await record.tip())?.seq ?? 0
  const due: SegmentRow[] = []
  let proven = 0
  let bytes = 0
  for await (const row of record.segmentsAfter(from)) {
    if (row.seq >= tipSeq || bytes > ARCHIVE_BYTES) break
    if (row.lastAtMs >= cutoffMs && row.lastAtMs <= nowMs) break
    due.push(row)
    bytes += row.body.length
    if (row.lastAtMs < cutoffMs) proven = due.length
  }
  return due.slice(0, proven)
}

const lineOf = ({ mac, ...content }: SegmentRow): ArchivedLine => ({
  ...content,
  mac: Buffer.from(mac).toString('base64url'),
})

function writeDurably(directory: string, name: string, bytes: Uint8Array): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, name)
  const fd = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeFileSync(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${path}.new`, path)
  const parent = openSync(directory, 'r')
  fsyncSync(parent)
  closeSync(parent)
}

/** The segments of an archive file's bytes. Throws for what is not one: hold the bytes against the checkpoint first. */
export const readArchive = (bytes: Uint8Array): SegmentRow[] =>
  gunzipSync(bytes, { maxOutputLength: MAX_BYTES }).toString().split('\n').slice(0, -1).map(rowOf)

function rowOf(text: string): SegmentRow {
  const line = JSON.parse(text) as ArchivedLine
  return { ...line, mac: Buffer.from(line.mac, 'base64url') }
}
