import type { ProjectSpec } from '../kinds/project.ts'
import type { ServerSpec } from '../kinds/server.ts'
import type { Era } from '../protocol/revisions.ts'
import type { SecretValue } from '../lib/secret-value.ts'

/**
 * The configuration as the gateway reads it: memory only, immutable. Views keep their identity while nothing in them
 * has changed, so caches key on the objects themselves.
 */
export interface Snapshot {
  readonly revision: number
  /**
   * @param caller key of the principal that it is for, and the era that they speak: an edge has views for each of them,
   *   so that what a client has at one server over a session is at that server over a session too
   */
  project(name: string, caller?: string, era?: Era): ProjectView | undefined
  /** All of them, in no particular order. */
  projects(): Iterable<ProjectView>
  /** @param uid of a view that somebody holds, where one name can have several */
  server(name: string, uid?: string): ServerView | undefined
}

export interface ProjectView {
  readonly uid: string
  readonly name: string
  readonly spec: ProjectSpec
  /** In the order of `spec.servers`, as far as they exist. */
  readonly servers: readonly ServerView[]
}

export interface ServerView {
  readonly uid: string
  readonly name: string
  readonly spec: ServerSpec
  /** Changes when the spec or the value of a referenced secret changes: connections made under another are closed. */
  readonly fingerprint: string
  /** Nobody but one caller uses it: nothing is held open for it while they neither call nor listen. */
  readonly ofOneCaller?: boolean
}

export interface SnapshotSource {
  current(): Snapshot
  /** Callers have views of their own of one project. */
  readonly byCaller?: boolean
  /** Opens the sealed value at this moment; undefined when there is no such secret or key. */
  secretValue(secret: string, key: string): SecretValue | undefined
}
