import { hash } from 'node:crypto'
import type { ProjectSpec } from '../../kinds/project.ts'
import { Server, type ServerSpec } from '../../kinds/server.ts'
import type { Stored } from '../stored.ts'

/** A Server as the gateway reads it. The same object as long as nothing in it has changed: caches key on it. */
export interface ServerView {
  readonly uid: string
  readonly name: string
  readonly generation: number
  readonly spec: ServerSpec
  /** Changes when the spec or the value of a secret that it names has changed: what runs must then be started again. */
  readonly fingerprint: string
}

/** A Project as the gateway reads it, with the same promise. */
export interface ProjectView {
  readonly uid: string
  readonly name: string
  readonly generation: number
  readonly spec: ProjectSpec
  /** In the order of the spec; those that exist. */
  readonly servers: readonly ServerView[]
  /** Names in the spec that no Server has. */
  readonly missing: readonly string[]
}

/** What tells a value from the next, by name of the Secret and key in it; undefined where there is none. */
export type FindMark = (secret: string, key: string) => string | undefined

/** The view of a Server; `before` itself where nothing changed. */
export function viewServer({ resource }: Stored, markOf: FindMark, before?: ServerView): ServerView {
  const { uid, name, generation } = resource.metadata
  const spec = resource.spec as ServerSpec
  const fingerprint = fingerprintOf(spec, markOf)
  if (before?.uid === uid && before.generation === generation && before.fingerprint === fingerprint)
    return before
  return { uid, name, generation, spec, fingerprint }
}

/** The view of a Project; `before` itself where neither it nor one of its servers changed. */
export function viewProject(
  { resource }: Stored,
  find: (name: string) => ServerView | undefined,
  before?: ProjectView,
): ProjectView {
  const { uid, name, generation } = resource.metadata
  const spec = resource.spec as ProjectSpec
  const servers: ServerView[] = []
  const missing: string[] = []
  for (const wanted of spec.servers) {
    const server = find(wanted)
    if (server === undefined) missing.push(wanted)
    else servers.push(server)
  }
  const same =
    before?.uid === uid &&
    before.generation === generation &&
    before.servers.length === servers.length &&
    before.servers.every((server, i) => server === servers[i])
  return same ? before : { uid, name, generation, spec, servers, missing }
}

function fingerprintOf(spec: ServerSpec, markOf: FindMark): string {
  const values = secretsOf(spec).map(({ name, key }) => [name, key, markOf(name, key) ?? null])
  return hash('sha256', JSON.stringify([spec, values]), 'base64url')
}

/** The values that a Server takes from Secrets. */
export const secretsOf = (spec: ServerSpec): readonly { readonly name: string; readonly key: string }[] =>
  (Server.references?.(spec) ?? []).flatMap(({ kind, name, key }) =>
    kind === 'Secret' && key !== undefined ? [{ name, key }] : [],
  )
