import type { ControlDb, StateDb } from './tables.ts'

/** The opened databases. Statements are functions of their own (`resources.ts`, `sessions.ts`, …). */
export interface Store {
  readonly control: ControlDb
  readonly state: StateDb
  readonly dialect: 'sqlite' | 'postgres'
  /**
   * Calls `moved` whenever the configuration may have been changed, by any process. It can miss changes while the
   * database is away. Undefined where only this process writes.
   */
  readonly watch: ((moved: () => void) => Watch) | undefined
  /** Waits for what is running, then closes. Idempotent. */
  close(): Promise<void>
}

export interface Watch {
  close(): Promise<void>
}
