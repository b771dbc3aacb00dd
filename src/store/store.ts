import type { ControlDb, StateDb } from './tables.ts'

/** The opened databases. Statements are functions of their own (`resources.ts`, `sessions.ts`, …). */
export interface Store {
  readonly control: ControlDb
  readonly state: StateDb
  readonly dialect: 'sqlite' | 'postgres'
  /** Waits for what is running, then closes. Idempotent. */
  close(): Promise<void>
}
