import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'

/**
 * Where the entry files of workers and child processes are. `tsc` rewrites the extensions of imports but not those in
 * `new URL(…)`, so this is the one place that knows whether we run from `src/*.ts` or from `dist/*.js`.
 */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** @param path below `src/`, without extension: `store/sqlite/worker` */
export const entryUrl = (path: string): URL => new URL(`../${path}${extension}`, import.meta.url)

/**
 * The whole environment of a worker: the compile cache of the main thread, which a worker does not find by itself.
 * Without it each worker compiles its sources anew, for some 20 MB and twice the time to start.
 */
export function workerEnvironment(): Record<string, string> {
  // Node adds a directory of its own version and makes below what it is given.
  const directory = getCompileCacheDir()
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) }
}
