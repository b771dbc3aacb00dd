import { isAbsolute, relative, sep } from 'node:path'

/** A file that may be the one that a reference means. */
export interface Candidate {
  readonly directory: string
  /** Below it. */
  readonly path: string
}

const MAX_PATH = 1024

/** Whether a reference is a path below one of the directories, by its letters alone; else a sentence. */
export function checkPath(reference: string, directories: readonly string[]): string | undefined {
  if (reference === '' || reference.length > MAX_PATH || hasControl(reference))
    return `must be a path of 1 to ${MAX_PATH} characters`
  const segments = (reference.startsWith('/') ? reference.slice(1) : reference).split('/')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    return 'must be a plain path: without "..", "." and empty parts'
  return candidates(reference, directories).length > 0
    ? undefined
    : 'must be below a directory that the daemon was started with (castellan up --secret-dir)'
}

/** Where a reference that was checked can lead, in the order of the directories. */
export const candidates = (reference: string, directories: readonly string[]): readonly Candidate[] =>
  directories.flatMap((directory) => {
    if (!isAbsolute(reference)) return [{ directory, path: reference }]
    return isBelow(directory, reference) ? [{ directory, path: relative(directory, reference) }] : []
  })

/** Both absolute and without `..`; a directory is not below itself. */
export const isBelow = (directory: string, path: string): boolean =>
  path.startsWith(directory.endsWith(sep) ? directory : directory + sep)

const hasControl = (text: string): boolean => /\p{Cc}/u.test(text) || !text.isWellFormed()
