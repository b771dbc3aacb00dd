import type { AuditRow } from '../../audit/query.ts'
import type { AuditFilter } from '../../audit/readings.ts'
import type { AuditSessions } from '../../audit/sessions.ts'
import type { Project } from '../../kinds/project.ts'
import type { Secret } from '../../kinds/secret.ts'
import type { ServerStatus } from '../../kinds/server.ts'

/** What the running daemon knows and the store does not. The gateway and main provide it. */
export interface StatusSource {
  /** Undefined: nothing is known of it yet. */
  server(name: string): ServerStatus | undefined
  project(name: string): Partial<Project['status']> | undefined
  /** Undefined: its values are sealed here, and what is stored says everything. */
  secret(secret: Secret): Secret['status'] | undefined
  daemon(): DaemonStatus
}

export interface DaemonStatus {
  readonly pid: number
  readonly startedAtMs: number
  readonly home: string
  /** What keeps the resources, without any credential: `sqlite`, or `postgres host/database`. */
  readonly database: string
  readonly url: string
  /** Whether the record can be written, in a few words. */
  readonly audit: string
  /** What keeps stdio servers in: `bubblewrap`, `reaper`. */
  readonly sandbox: string
  /** Other daemons on the same database, as far as they are known. */
  readonly peers: readonly Peer[]
}

export interface Peer {
  /** The name of its host; empty when it has said none. */
  readonly host: string
  /** Where daemons reach it; clients may not. */
  readonly url: string
  readonly state: 'alive' | 'unreachable' | 'gone'
}

export interface VersionInfo {
  readonly version: string
  readonly commit: string
  readonly buildDate: string
  readonly node: string
}

export interface LogRequest {
  /** How many of the last lines to begin with. */
  readonly tail: number
  /** Whether to go on with what comes, until the signal. */
  readonly follow: boolean
  readonly signal: AbortSignal
}

/** Lines with their line breaks, in pieces of any size. */
export interface LogSource {
  daemon(request: LogRequest): AsyncIterable<string>
  /** The standard error of a stdio Server. */
  server(name: string, request: LogRequest): AsyncIterable<string>
}

export interface AuditSource {
  /** The newest that fit, newest last. */
  query(filter: AuditFilter): Promise<readonly AuditRow[]>
  /** Sessions and callers of the requests that fit, the one used last at the end. */
  sessions(filter: AuditFilter): Promise<AuditSessions>
}
