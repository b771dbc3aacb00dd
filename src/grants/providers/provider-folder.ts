import { constants } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../lib/fault.ts'
import { err, type Result } from '../../lib/result.ts'
import type { Provider } from './define-provider.ts'
import { readProviderFile, type BadFile } from './provider-file.ts'

/** One file of the folder, as it was read. */
export interface ReadFile {
  readonly file: string
  /** Changes with the file. */
  readonly stamp: string
  readonly found: Result<Provider, BadFile>
}

const MAX_FILES = 200
const MAX_BYTES = 64 * 1024

/**
 * The providers of a folder, in the order of their names; a folder that is not there has none.
 *
 * @param before what was read last time: a file that has not changed since is not read again
 * @throws Fault `unavailable` when the folder is there and cannot be listed
 */
export async function readProviderFolder(
  folder: string,
  before: readonly ReadFile[],
): Promise<readonly ReadFile[]> {
  const names = (await list(folder)).filter((name) => /\.ya?ml$/.test(name)).sort()
  const known = new Map(before.map((read) => [read.file, read]))
  const files: ReadFile[] = []
  for (const file of names.slice(0, MAX_FILES)) {
    const stamp = await stampOf(join(folder, file))
    const kept = known.get(file)
    if (stamp !== undefined && kept?.stamp === stamp) files.push(kept)
    else if (stamp !== undefined) files.push({ file, stamp, found: await readOne(folder, file) })
  }
  if (names.length > MAX_FILES)
    files.push({
      file: '',
      stamp: '',
      found: bad('', `more than ${MAX_FILES} files: the others are not read`),
    })
  return files
}

async function list(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    // A provider that is shipped does not stand in for one that cannot be seen.
    const hint =
      'the folder providers in the home of the daemon cannot be read: look at its owner and its mode'
    throw new Fault('unavailable', { hint, cause: error })
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined

/** @returns undefined when it has gone meanwhile */
async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { mtimeNs, ctimeNs, size, ino } = await lstat(path, { bigint: true })
    return [mtimeNs, ctimeNs, size, ino].join(' ')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A file of other than plain words as its name is not repeated. */
const shownName = (file: string): string => (/^[\w.-]{1,64}$/.test(file) ? file : '(a file)')

const bad = (file: string, sentence: string): Result<never, BadFile> => {
  const place = file === '' ? '' : `${shownName(file)}: `
  return err({ problems: [`${place}${sentence}`], name: undefined })
}

async function readOne(folder: string, file: string): Promise<Result<Provider, BadFile>> {
  if (file.endsWith('.yml')) return bad(file, 'rename it: its name must end with .yaml')
  try {
    // No link is followed: what decides where credentials go lies in the home and nowhere else. A pipe is not waited for.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    await using handle = await open(join(folder, file), flags)
    const stat = await handle.stat()
    if (!stat.isFile()) return bad(file, 'must be a file')
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0)
    if (bytesRead > MAX_BYTES) return bad(file, 'is larger than 64 KiB')
    const text = utf8(buffer.subarray(0, bytesRead))
    return text === undefined ? bad(file, 'is not UTF-8') : await readProviderFile(text, shownName(file))
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ELOOP' || code === 'EMLINK') return bad(file, 'is a link: put the file itself here')
    if (code === 'EACCES' || code === 'ENOENT' || code === 'ENXIO') return bad(file, 'cannot be read')
    throw error
  }
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // It says no more than that.
    return undefined
  }
}
