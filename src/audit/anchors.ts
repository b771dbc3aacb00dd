import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Signer } from './signer.ts'

/** A signed statement, kept outside the database: "at this time, this segment was the tip and had this MAC". */
export interface Anchor {
  readonly chain: string
  readonly seq: number
  /** base64url */
  readonly mac: string
  readonly atMs: number
  /** ed25519 over the other fields, base64url */
  readonly sig: string
}

export interface AnchorLine {
  /** From 1, as editors count. */
  readonly line: number
  /** Undefined: not an anchor of this chain, or not signed by this key. */
  readonly anchor: Anchor | undefined
}

/** Above this size the oldest anchors are dropped: each one vouches for all that is before it. */
const COMPACT_BYTES = 8 * 1024 * 1024
const KEEP_LINES = 4_000

export const anchorsPath = (home: string): string => join(home, 'audit-anchors.jsonl')

const statement = (anchor: Omit<Anchor, 'sig'>): string =>
  `castellan audit anchor v1\0${JSON.stringify([anchor.chain, anchor.seq, anchor.mac, anchor.atMs])}`

export function makeAnchor(content: Omit<Anchor, 'sig'>, signer: Signer): Anchor {
  return { ...content, sig: signer.sign(statement(content)) }
}

/** @returns what a line says, signed or not; undefined for one that is no anchor at all */
export function readAnchor(line: string): Anchor | undefined {
  try {
    const { chain, seq, mac, atMs, sig } = JSON.parse(line) as Anchor
    const whole = [chain, mac, sig].every((text) => typeof text === 'string') && Number.isSafeInteger(seq)
    return whole ? { chain, seq, mac, atMs, sig } : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}

export const isSignedAnchor = (anchor: Anchor, signer: Signer): boolean =>
  signer.verify(statement(anchor), anchor.sig)

function parseAnchor(line: string, chain: string, signer: Signer): Anchor | undefined {
  const anchor = readAnchor(line)
  return anchor?.chain === chain && isSignedAnchor(anchor, signer) ? anchor : undefined
}

const split = (text: string): string[] =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)

/** All anchors of a file's text. A last line without its newline is one whose writing was interrupted: left out. */
export const parseAnchors = (text: string, chain: string, signer: Signer): AnchorLine[] =>
  split(text).map((line, i) => ({ line: i + 1, anchor: parseAnchor(line, chain, signer) }))

/** @returns the text of the anchors file, '' where there is none */
export function readAnchorsText(home: string): string {
  try {
    return readFileSync(anchorsPath(home), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

/** The newest anchor: `undefined` where there is none, a line without an anchor where it cannot be trusted. */
export function lastAnchor(home: string, chain: string, signer: Signer): AnchorLine | undefined {
  const lines = split(readAnchorsText(home))
  const last = lines.at(-1)
  return last === undefined ? undefined : { line: lines.length, anchor: parseAnchor(last, chain, signer) }
}

/** Writes all of a line and waits for the disk; takes back what a full disk left half written. */
function appendDurably(path: string, line: string): void {
  const fd = openSync(path, 'a', 0o600)
  const before = fstatSync(fd).size
  try {
    const bytes = Buffer.from(line)
    let written = 0
    while (written < bytes.length) written += writeSync(fd, bytes, written)
    fsyncSync(fd)
    if (before === 0) syncDirectory(dirname(path))
  } catch (error) {
    ftruncateSync(fd, before)
    throw error
  } finally {
    closeSync(fd)
  }
}

/** Appends and fsyncs. Throws what the file system throws. */
export const appendAnchor = (home: string, anchor: Anchor): void =>
  appendDurably(anchorsPath(home), `${JSON.stringify(anchor)}\n`)

/** For the writer at start: removes a line whose writing was interrupted, and old anchors of a large file. */
export function tidyAnchors(home: string): void {
  const text = readAnchorsText(home)
  const lines = split(text)
  const whole = lines.length === 0 ? '' : `${lines.join('\n')}\n`
  if (text.length > COMPACT_BYTES) replaceDurably(home, `${lines.slice(-KEEP_LINES).join('\n')}\n`)
  else if (whole.length < text.length) replaceDurably(home, whole)
}

function replaceDurably(home: string, text: string): void {
  const path = anchorsPath(home)
  const fd = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeFileSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${path}.new`, path)
  syncDirectory(dirname(path))
}

/** Makes a new name durable. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  fsyncSync(fd)
  closeSync(fd)
}
