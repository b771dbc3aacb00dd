import { open, stat, type FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const MAX_TAIL = 100_000
const POLL_MS = 250
const READ_BYTES = 1 << 16

/**
 * The last lines of a log, oldest first; none where it does not exist yet. The older part of a rotated one counts as well.
 *
 * @param options.tail how many, at most 100,000
 */
export async function readLog(path: string, options: { readonly tail: number }): Promise<readonly string[]> {
  const tail = Math.min(options.tail, MAX_TAIL)
  const file = await openIfThere(path)
  try {
    const recent = file === undefined ? [] : await readLines(file)
    return tail <= 0 ? [] : [...(await olderLines(path, tail - recent.length)), ...recent.slice(-tail)]
  } finally {
    await file?.close()
  }
}

/** Complete lines; a file is at most a little over 5 MiB, so it is read whole. */
const readLines = async (file: FileHandle): Promise<readonly string[]> =>
  (await file.readFile('utf8')).split('\n').slice(0, -1)

async function olderLines(path: string, count: number): Promise<readonly string[]> {
  if (count <= 0) return []
  const file = await openIfThere(`${path}.1`)
  if (file === undefined) return []
  try {
    return (await readLines(file)).slice(-count)
  } finally {
    await file.close()
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw cause
  }
}

/**
 * The last lines, then every further one as it is written, across rotations, until `signal` is aborted (which ends the
 * iteration and is not an error).
 */
export async function* followLog(
  path: string,
  options: { readonly tail: number; readonly signal: AbortSignal },
): AsyncGenerator<string, void, undefined> {
  const { signal } = options
  let file = await openIfThere(path)
  const tail = Math.min(options.tail, MAX_TAIL)
  try {
    const first = file === undefined ? [] : await readLines(file)
    let at = first.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
    yield* await olderLines(path, tail - first.length)
    if (tail > 0) yield* first.slice(-tail)
    let rest = ''
    while (!signal.aborted) {
      file ??= await openIfThere(path)
      const read = file === undefined ? Buffer.alloc(0) : await readFrom(file, at)
      at += read.length
      const lines = (rest + read.toString('utf8')).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
      if (read.length > 0) continue
      if (file === undefined || !(await wasRotated(file, path))) {
        await pause(signal)
        continue
      }
      await file.close()
      file = undefined
      at = 0
    }
  } finally {
    await file?.close()
  }
}

async function readFrom(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, position)
  // A read may end within a character or a line; what is after the last newline is taken with the next one.
  const end = bytesRead === READ_BYTES ? buffer.lastIndexOf(10) + 1 || bytesRead : bytesRead
  return buffer.subarray(0, end)
}

async function wasRotated(file: FileHandle, path: string): Promise<boolean> {
  const now = await stat(path).catch(() => undefined)
  return now !== undefined && now.ino !== (await file.stat()).ino
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(POLL_MS, undefined, { signal }).catch(() => undefined)
}
