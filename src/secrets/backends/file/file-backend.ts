import { open, stat } from 'node:fs/promises'
import { err, ok } from '../../../lib/result.ts'
import { unread, type Reading, type SecretBackend } from '../backend.ts'
import { valueOf } from '../value-of.ts'
import { candidates, checkPath } from './file-path.ts'
import { readInside } from './read-inside.ts'
import { createDirectoryWatches } from './watch-directory.ts'

export interface FileOptions {
  /** Absolute paths of directories; what is below them may be read, by whoever may make a Secret. */
  readonly directories: readonly string[]
  /** Absolute paths of what is never read, wherever it lies: the home of the daemon, its master key. */
  readonly never: readonly string[]
}

/** The pool of threads that reads files has four, and a file system that is away holds each of them for good. */
const PARALLEL = 2
const NO_DIRECTORY =
  'there is no directory to read from; start the daemon with castellan up --secret-dir DIRECTORY'

/**
 * Values in files that something else keeps, such as the Secrets that Docker and Kubernetes mount. A reference is a path
 * below one of the directories: absolute, or relative to the first that has it. One line break at the end is taken off.
 */
export function createFileBackend({ directories, never }: FileOptions): SecretBackend {
  const watches = createDirectoryWatches()

  async function read(reference: string): Promise<Reading> {
    const problem = check(reference)
    if (problem !== undefined) return unread('absent', `the reference ${problem}`)
    let missing: Reading | undefined
    for (const candidate of candidates(reference, directories)) {
      const found = await readInside(candidate, { never, open })
      if (found.ok) return valueOf(withoutLastBreak(found.value))
      if (found.error.kind === 'unusable') return found
      // Of several directories one that could not be asked may have it.
      if (missing === undefined || found.error.kind === 'away') missing = found
    }
    return missing ?? unread('absent', NO_FILE)
  }

  const check = (reference: string): string | undefined =>
    directories.length === 0 ? `cannot be followed: ${NO_DIRECTORY}` : checkPath(reference, directories)

  return {
    name: 'file',
    writable: false,
    parallel: PARALLEL,
    describe: () =>
      directories.length === 0 ? 'files; no directory is named' : `files below ${directories.join(', ')}`,
    check,
    read,
    async health() {
      if (directories.length === 0) return err(NO_DIRECTORY)
      const found = await Promise.all(directories.map(isDirectory))
      return found.includes(true) ? ok(undefined) : err('the directory that holds the file is not there')
    },
    watch(reference, changed) {
      if (check(reference) !== undefined) return { close() {} }
      const all = candidates(reference, directories).map((candidate) => watches.watch(candidate, changed))
      return {
        close() {
          for (const one of all) one.close()
        },
      }
    },
    close: () => watches.close(),
  }
}

const NO_FILE = 'there is no such file'

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** Editors and `echo` end a file with one, and no credential does. */
function withoutLastBreak(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1)
}
