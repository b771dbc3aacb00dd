/**
 * Where the entry files of workers and child processes are. `tsc` rewrites the extensions of imports but not those in
 * `new URL(…)`, so this is the one place that knows whether we run from `src/*.ts` or from `dist/*.js`.
 */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

/** @param path below `src/`, without extension: `store/sqlite/worker` */
export const entryUrl = (path: string): URL => new URL(`../${path}${extension}`, import.meta.url)
