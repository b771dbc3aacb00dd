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
  /** @param viewer as `SnapshotSource.viewer` has it */
  project(name: string, viewer?: string): ProjectView | undefined
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
  /** Whose grants it is reached with; absent: those that all share. */
  readonly holder?: string
  /** As people call them, where they have a name. */
  readonly holderName?: string | undefined
}

export interface SnapshotSource {
  current(): Snapshot
  /**
   * Whose view of a project a caller has: those that answer the same see the same. An edge has views for each caller and
   * the era that they speak, so that what a client has at one server over a session is at that server over a session
   * too; a daemon for each holder of grants, where a server of the project is reached with theirs.
   *
   * @param principal its key
   */
  viewer(project: string, principal: string, era: Era): string
  /** Opens the sealed value at this moment; undefined when there is no such secret or key. */
  secretValue(secret: string, key: string): SecretValue | undefined
}

/** The project as this caller has it. */
export const viewFor = (
  snapshot: Pick<SnapshotSource, 'current' | 'viewer'>,
  { project, principal }: { readonly project: string; readonly principal: string },
  era: Era,
): ProjectView | undefined => snapshot.current().project(project, snapshot.viewer(project, principal, era))
