import type { SessionId } from '../../lib/id.ts'
import type { Offer } from '../../protocol/client-offer.ts'

/** Writes one message to a session's GET stream. */
export interface SessionStream {
  send(message: string): void
  close(): void
}

/** The state of one legacy client, as the protocol of that era demands it. */
export interface Session {
  readonly id: SessionId
  /** Enough to group records by, useless to steal. */
  readonly digest: string
  /** `Principal.key` of who opened it; nobody else may use it. */
  readonly principal: string
  readonly project: string
  /** The one server it is with, or undefined on the aggregated endpoint. */
  readonly server: string | undefined
  /** As negotiated by `initialize`. */
  readonly protocolVersion: string
  /** JSON text of what the client called itself. */
  readonly clientInfo: string
  /** What it can be asked for. */
  readonly offer: Offer
  /** What `logging/setLevel` set. */
  logLevel: string | undefined
  /** Resource URIs it wants to hear of, each with the server that has it. */
  readonly subscriptions: Map<string, string>
  /** On disk as well; one that lives and ends with its connection is not. */
  readonly stored: boolean
  /** Opened by an earlier life of the daemon: what servers knew of it is gone. */
  restored: boolean
  /** It was taken to be left behind: its connections to servers were closed. */
  rested: boolean
  /** Calls in flight by the JSON text of their id, for `notifications/cancelled`. */
  readonly calls: Map<string, () => void>
  /** Its own stream; what is sent to it waits for a while for a client that was cut off. */
  stream: SessionStream | undefined
  /** Something may have been said that nobody has heard: the next stream begins with what may have changed. */
  missed: boolean
  /** Wall clock, ms. */
  seenAtMs: number
}

/** What is kept of a session on disk. */
export interface SessionRecord {
  readonly id: string
  readonly principal: string
  readonly project: string
  readonly server: string | undefined
  readonly protocolVersion: string
  readonly client: string
  readonly logLevel: string | undefined
  readonly subscriptions: readonly (readonly [server: string, uri: string])[]
  readonly seenAtMs: number
}

/** All but some projects, or only some: projects that are gone count among the former. */
export interface ProjectsOf {
  readonly which: 'only' | 'except'
  readonly names: readonly string[]
}

/** Where sessions outlive the daemon. */
export interface SessionStore {
  insert(record: SessionRecord): Promise<void>
  find(id: string): Promise<SessionRecord | undefined>
  update(record: Pick<SessionRecord, 'id' | 'logLevel' | 'subscriptions'>): Promise<void>
  touch(seen: readonly (readonly [id: string, seenAtMs: number])[]): Promise<void>
  /** Those of them that it does not have: another process has ended them. */
  missing(ids: readonly string[]): Promise<readonly string[]>
  remove(id: string): Promise<void>
  /** Ids of sessions of these projects not seen since, oldest first. */
  expired(beforeMs: number, limit: number, projects: ProjectsOf): Promise<readonly string[]>
}
