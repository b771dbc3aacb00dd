/*
 * What travels between the main thread and the database worker. Requests are answered in the order they are sent, so
 * replies carry no number.
 */

/** One worker serves both files: their statements never wait for each other longer than one statement takes. */
export type DatabaseFile = 'control' | 'state'

export type Request =
  | { readonly op: 'open'; readonly file: DatabaseFile; readonly path: string }
  | {
      readonly op: 'run'
      readonly file: DatabaseFile
      readonly sql: string
      readonly parameters: readonly unknown[]
    }
  | { readonly op: 'begin' | 'commit' | 'rollback'; readonly file: DatabaseFile }
  | { readonly op: 'close' }

export type Reply =
  | { readonly ok: true; readonly rows: unknown[]; readonly changes: number }
  | { readonly ok: false; readonly error: WorkerError }

/** An error as it crosses threads: what `sqlite-error.ts` needs to tell what happened. */
export interface WorkerError {
  readonly message: string
  /** SQLite's extended result code. */
  readonly errcode?: number | undefined
  /** Of a system call: `ENOSPC`, `EROFS`, … */
  readonly code?: string | undefined
}
