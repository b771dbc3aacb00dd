import { constants, type BigIntStats } from 'node:fs'
import { realpath, stat, type FileHandle, type open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ok, type Result } from '../../../lib/result.ts'
import { MAX_VALUE_BYTES, unread, type Unread } from '../backend.ts'
import { isBelow, type Candidate } from './file-path.ts'

type Bytes = Result<Buffer, Unread>

export interface ReadInsideDeps {
  /** Absolute paths of what is not read, wherever it lies. */
  readonly never: readonly string[]
  /** That of Node. */
  readonly open: typeof openFile
}

/** With the line break that may end it, and a byte that shows that it is longer. */
const MAX_READ = MAX_VALUE_BYTES + 3
const ATTEMPTS = 4

/**
 * Reads a file whose path, with every symbolic link followed, is inside its directory. Links within it are how
 * Kubernetes exchanges all files of a mounted Secret at once (`..data`); one that leads out is not followed. Links that
 * change between looking and opening are noticed: it is looked at again after it was opened, and has to be the same file.
 */
export async function readInside(
  { directory, path }: Candidate,
  { never, open }: ReadInsideDeps,
): Promise<Bytes> {
  const root = await realpath(directory).catch(() => undefined)
  if (root === undefined) return unread('away', 'the directory that holds the file is not there')
  const forbidden = await Promise.all(never.map((one) => realpath(one).catch(() => one)))
  let last: Bytes | undefined
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const real = await resolve(join(root, path))
    if (!real.ok) {
      last = real
      // A file that is being replaced is gone for a moment.
      if (real.error.kind === 'absent') continue
      return real
    }
    if (!isBelow(root, real.value)) return unread('unusable', 'it is a link that leads out of the directory')
    if (forbidden.some((one) => real.value === one || isBelow(one, real.value)))
      return unread('unusable', 'it belongs to the daemon itself')
    const found = await readSame(real.value, join(root, path), open)
    if (found !== undefined) return found
  }
  return last ?? unread('away', 'the file changes while it is read')
}

async function resolve(path: string): Promise<Result<string, Unread>> {
  try {
    return ok(await realpath(path))
  } catch (error) {
    return failed(error)
  }
}

/** Undefined: it was replaced or changed meanwhile. */
async function readSame(real: string, path: string, open: typeof openFile): Promise<Bytes | undefined> {
  let file: FileHandle
  try {
    // Neither through a link that has just come, nor waiting for somebody to write into a pipe.
    file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    // It was there, and no link, a moment ago.
    return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error)) ? undefined : failed(error)
  }
  try {
    const before = await file.stat({ bigint: true })
    if (!before.isFile()) return unread('unusable', 'it is not a file')
    const bytes = await readBounded(file)
    const after = await stat(path, { bigint: true }).catch(() => undefined)
    const isSame = after !== undefined && (await isStill(real, path)) && unchanged(before, after)
    return isSame ? ok(bytes) : undefined
  } catch (error) {
    return failed(error)
  } finally {
    await file.close()
  }
}

const isStill = async (real: string, path: string): Promise<boolean> =>
  (await realpath(path).catch(() => undefined)) === real

const unchanged = (a: BigIntStats, b: BigIntStats): boolean =>
  a.dev === b.dev &&
  a.ino === b.ino &&
  a.size === b.size &&
  a.mtimeNs === b.mtimeNs &&
  a.ctimeNs === b.ctimeNs

async function readBounded(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(MAX_READ)
  let length = 0
  while (length < MAX_READ) {
    const { bytesRead } = await file.read(buffer, length, MAX_READ - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown'

const ABSENT = new Set(['ENOENT', 'ENOTDIR'])
const UNUSABLE = new Set(['EACCES', 'EPERM', 'ELOOP', 'EISDIR', 'ENXIO', 'ENAMETOOLONG'])

/** What the system says of it holds the whole path, so only its code is passed on. */
function failed(error: unknown): { ok: false; error: Unread } {
  const code = codeOf(error)
  if (ABSENT.has(code)) return unread('absent', 'there is no such file')
  return unread(UNUSABLE.has(code) ? 'unusable' : 'away', `the file cannot be read (${code})`)
}
