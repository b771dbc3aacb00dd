import type { SignInEntry, TokenEntry } from '../../access/authenticate.ts'
import { KINDS } from '../../kinds/registry.ts'
import type { SealedRow, TokenRow } from '../../store/tables.ts'
import { keyOf, type Stored } from '../stored.ts'
import { accessAfter, buildAccess, type IndexedAccess } from './access-index.ts'
import { credentialEntry, hasCredential } from './credential-entry.ts'
import { shardedMap, type ShardedMap } from './sharded-map.ts'
import {
  secretsOf,
  viewProject,
  viewServer,
  type FindMark,
  type ProjectView,
  type ServerView,
} from './views.ts'

/** Everything that the snapshot holds, as one immutable value. */
export interface State {
  readonly revision: number
  /** By kind, then by `keyOf(project, name)`. */
  readonly resources: ReadonlyMap<string, ShardedMap<Stored>>
  readonly byUid: ShardedMap<Stored>
  /** By name of the Secret, then by key. Never opened here. */
  readonly sealed: ShardedMap<ReadonlyMap<string, SealedRow>>
  /** Of values that are kept elsewhere: what tells one from the next, at this moment. */
  readonly markElsewhere: MarkElsewhere
  /** By digest. */
  readonly credentials: ShardedMap<TokenEntry | SignInEntry>
  /** Uid of a Token or a SignIn to digest. */
  readonly digests: ShardedMap<string>
  /** Who is given what; another object whenever rights may have changed. */
  readonly access: IndexedAccess
  readonly servers: ShardedMap<ServerView>
  readonly projects: ShardedMap<ProjectView>
}

/** What a committed transaction did to one resource. */
export interface Delta {
  readonly before: Stored | undefined
  readonly after: Stored | undefined
  /** All sealed values that it has now, of kinds that have some. */
  readonly sealed?: readonly SealedRow[] | undefined
  /** Of a new Token or SignIn. */
  readonly token?: TokenRow | undefined
}

export interface Contents {
  readonly revision: number
  readonly resources: readonly Stored[]
  readonly sealed: readonly SealedRow[]
  readonly tokens: readonly TokenRow[]
}

/** By uid of the Secret, and key; undefined while there is no value. */
export type MarkElsewhere = (uid: string, key: string) => string | undefined

const uidOf = ({ resource }: Stored): string => resource.metadata.uid
const nameOf = ({ resource }: Stored): string => resource.metadata.name
const idOf = (stored: Stored): string => keyOf(stored.project, nameOf(stored))

const EMPTY: State = {
  revision: 0,
  resources: new Map(KINDS.map(({ kind }) => [kind, shardedMap()])),
  byUid: shardedMap(),
  sealed: shardedMap(),
  markElsewhere: () => undefined,
  credentials: shardedMap(),
  digests: shardedMap(),
  access: buildAccess([]),
  servers: shardedMap(),
  projects: shardedMap(),
}

/** The state of a whole store. */
export function buildState(
  { revision, resources, sealed, tokens }: Contents,
  markElsewhere = EMPTY.markElsewhere,
): State {
  const byUid = new Map(resources.map((stored) => [uidOf(stored), stored]))
  const sealedByName = new Map<string, Map<string, SealedRow>>()
  for (const row of sealed) {
    const owner = byUid.get(row.uid)
    if (owner?.definition.secrets === undefined) continue
    const fields = sealedByName.get(nameOf(owner)) ?? new Map<string, SealedRow>()
    sealedByName.set(nameOf(owner), fields.set(row.field, row))
  }
  const known = tokens.flatMap((row) => {
    const stored = byUid.get(row.uid)
    return stored === undefined
      ? []
      : [[row.digest, credentialEntry(stored, row.expires_at_ms ?? undefined)] as const]
  })
  const ofKind = (kind: string): Stored[] => resources.filter(({ resource }) => resource.kind === kind)
  const base: State = {
    ...EMPTY,
    revision,
    resources: new Map(
      KINDS.map(({ kind }) => [
        kind,
        shardedMap(ofKind(kind).map((stored) => [idOf(stored), stored] as const)),
      ]),
    ),
    byUid: shardedMap(byUid),
    sealed: shardedMap(sealedByName),
    markElsewhere,
    credentials: shardedMap(known),
    access: buildAccess(resources),
    digests: shardedMap(tokens.map(({ uid, digest }) => [uid, digest] as const)),
  }
  const servers = shardedMap(
    ofKind('Server').map((stored) => [nameOf(stored), viewServer(stored, findMark(base))] as const),
  )
  const projects = shardedMap(
    ofKind('Project').map((stored) => [nameOf(stored), viewProject(stored, servers.get)] as const),
  )
  return { ...base, servers, projects }
}

/** The state after a committed transaction. Costs the same however much the state holds besides. */
export function applyDeltas(state: State, revision: number, deltas: readonly Delta[]): State {
  let next: State = { ...state, revision }
  for (const delta of deltas) next = applyCredential(applyResource(next, delta), delta)
  return refreshViews(next, deltas)
}

function applyResource(state: State, { before, after, sealed }: Delta): State {
  const one = after ?? before
  if (one === undefined) return state
  const { kind } = one.resource
  const ofKind = state.resources.get(kind) ?? shardedMap()
  const changed = after === undefined ? ofKind.without(idOf(one)) : ofKind.with(idOf(one), after)
  return {
    ...state,
    resources: new Map(state.resources).set(kind, changed),
    byUid: after === undefined ? state.byUid.without(uidOf(one)) : state.byUid.with(uidOf(one), after),
    sealed: sealedAfter(state, one, { gone: after === undefined, sealed }),
    access: accessAfter(state.access, before, after),
  }
}

function sealedAfter(
  state: State,
  stored: Stored,
  { gone, sealed }: { gone: boolean; sealed: readonly SealedRow[] | undefined },
): State['sealed'] {
  if (stored.definition.secrets === undefined) return state.sealed
  if (gone) return state.sealed.without(nameOf(stored))
  return sealed === undefined
    ? state.sealed
    : state.sealed.with(nameOf(stored), new Map(sealed.map((row) => [row.field, row])))
}

function applyCredential(state: State, { before, after, token }: Delta): State {
  const one = after ?? before
  if (one === undefined || !hasCredential(one.resource.kind)) return state
  const uid = uidOf(one)
  const digest = token?.digest ?? state.digests.get(uid)
  if (digest === undefined) return state
  if (after === undefined) {
    return { ...state, credentials: state.credentials.without(digest), digests: state.digests.without(uid) }
  }
  const expiresAtMs =
    token === undefined ? state.credentials.get(digest)?.expiresAtMs : (token.expires_at_ms ?? undefined)
  return {
    ...state,
    credentials: state.credentials.with(digest, credentialEntry(after, expiresAtMs)),
    digests: state.digests.with(uid, digest),
  }
}

/** Views of the servers and projects that a delta touches, directly or through what they name. */
function refreshViews(state: State, deltas: readonly Delta[]): State {
  const touched = (kind: string): Set<string> =>
    new Set(
      deltas.flatMap(({ before, after }) => {
        const one = after ?? before
        return one?.resource.kind === kind ? [nameOf(one)] : []
      }),
    )
  return refreshUsers(state, {
    secrets: touched('Secret'),
    servers: touched('Server'),
    projects: touched('Project'),
  })
}

/** The state after values have changed that are kept elsewhere. */
export const refreshValues = (state: State, secrets: ReadonlySet<string>): State =>
  refreshUsers(state, { secrets, servers: new Set(), projects: new Set() })

interface Touched {
  readonly secrets: ReadonlySet<string>
  readonly servers: Set<string>
  readonly projects: Set<string>
}

function refreshUsers(state: State, { secrets, servers, projects }: Touched): State {
  if (secrets.size > 0) {
    for (const view of state.servers.values()) {
      if (secretsOf(view.spec).some(({ name }) => secrets.has(name))) servers.add(view.name)
    }
  }
  if (servers.size > 0) {
    for (const view of state.projects.values()) {
      if (view.spec.servers.some((name) => servers.has(name))) projects.add(view.name)
    }
  }
  return refreshProjects(refreshServers(state, servers), projects)
}

function refreshServers(state: State, names: ReadonlySet<string>): State {
  let { servers } = state
  for (const name of names) {
    const stored = state.resources.get('Server')?.get(keyOf('', name))
    if (stored === undefined) servers = servers.without(name)
    else servers = servers.with(name, viewServer(stored, findMark(state), servers.get(name)))
  }
  return { ...state, servers }
}

function refreshProjects(state: State, names: ReadonlySet<string>): State {
  let { projects } = state
  for (const name of names) {
    const stored = state.resources.get('Project')?.get(keyOf('', name))
    if (stored === undefined) projects = projects.without(name)
    else projects = projects.with(name, viewProject(stored, state.servers.get, projects.get(name)))
  }
  return { ...state, projects }
}

/** Each sealing has a nonce of its own, so the nonce tells one value from the next without opening either. */
const findMark =
  (state: Pick<State, 'sealed' | 'resources' | 'markElsewhere'>): FindMark =>
  (secret, key) => {
    const sealed = state.sealed.get(secret)?.get(key)
    if (sealed !== undefined) return sealed.nonce
    const stored = state.resources.get('Secret')?.get(keyOf('', secret))
    return stored === undefined ? undefined : state.markElsewhere(uidOf(stored), key)
  }
