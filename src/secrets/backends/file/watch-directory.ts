import { watch, type FSWatcher } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Candidate } from './file-path.ts'

export interface DirectoryWatches {
  /** Calls when something in the directory of the file changes. Where it cannot be watched, it never calls. */
  watch(candidate: Candidate, changed: () => void): { close(): void }
  close(): void
}

interface Watched {
  readonly watcher: FSWatcher
  readonly listeners: Set<() => void>
}

/** The system has a bound for all processes of a user. */
const MOST = 128

/** One watch for each directory, however many files in it are wanted. */
export function createDirectoryWatches(): DirectoryWatches {
  const watched = new Map<string, Watched>()

  function begin(path: string): Watched | undefined {
    if (watched.size >= MOST) return undefined
    const listeners = new Set<() => void>()
    try {
      const watcher = watch(path, { persistent: false }, () => {
        for (const listener of listeners) listener()
      })
      const one = { watcher, listeners }
      watcher.on('error', () => end(path, one))
      watched.set(path, one)
      return one
    } catch {
      // Not there, or no more watches: whoever asks from time to time finds out.
      return undefined
    }
  }

  function end(path: string, one: Watched): void {
    one.watcher.close()
    if (watched.get(path) === one) watched.delete(path)
  }

  return {
    watch({ directory, path }, changed) {
      const folder = dirname(join(directory, path))
      const one = watched.get(folder) ?? begin(folder)
      one?.listeners.add(changed)
      return {
        close() {
          if (one === undefined) return
          one.listeners.delete(changed)
          if (one.listeners.size === 0) end(folder, one)
        },
      }
    },
    close() {
      for (const [path, one] of watched) end(path, one)
    },
  }
}
