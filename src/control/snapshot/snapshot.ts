import type { TokenTable } from '../../access/authenticate.ts'
import { KINDS } from '../../kinds/registry.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { currentRevision, listResources } from '../../store/resources.ts'
import { listAllSealed } from '../../store/sealed.ts'
import type { ControlDb } from '../../store/tables.ts'
import { findTokens } from '../../store/tokens.ts'
import { toStored, type Stored } from '../stored.ts'
import { applyDeltas, buildState, type Delta, type State } from './state.ts'
import type { ProjectView, ServerView } from './views.ts'

/** One state of the configuration. Never changes; ask `current()` again for the next. */
interface Snapshot {
  readonly revision: number
  readonly project: (name: string) => ProjectView | undefined
  readonly server: (name: string) => ServerView | undefined
}

/** What became different with a revision. */
interface SnapshotChange {
  readonly revision: number
  readonly changed: readonly {
    readonly kind: string
    readonly name: string
    /** `''` for a kind of global scope. */
    readonly project: string
    readonly operation: 'insert' | 'replace' | 'remove'
  }[]
}

export interface SnapshotSource {
  current(): Snapshot
  /** All stored resources and how to find one, for the control API. */
  state(): State
  /** Called after each change, before the request that made it is answered. Returns how to stop. */
  subscribe(listener: (change: SnapshotChange) => void): () => void
  /**
   * Opens a value anew each time: in memory it stays sealed.
   *
   * @throws Fault `unavailable` when it cannot be opened with the present master key
   */
  secretValue(secret: string, key: string): SecretValue | undefined
  readonly tokens: TokenTable
  /** Takes over what a transaction has committed. Revisions come in order. */
  apply(revision: number, deltas: readonly Delta[]): void
}

export interface SnapshotDeps {
  readonly db: ControlDb
  readonly sealer: Pick<Sealer, 'open'>
}

/** Reads the whole store once; after that the snapshot follows by deltas. */
export async function openSnapshot({ db, sealer }: SnapshotDeps): Promise<SnapshotSource> {
  // One transaction, so that the parts belong to one revision.
  const contents = await db.transaction().execute(async (tx) => {
    const rows = []
    for (const { kind } of KINDS) rows.push(...(await listResources(tx, { kind })))
    return {
      revision: await currentRevision(tx),
      resources: rows.map(toStored),
      sealed: await listAllSealed(tx),
      tokens: await findTokens(tx),
    }
  })
  return followSnapshot(buildState(contents), sealer)
}

function followSnapshot(first: State, sealer: Pick<Sealer, 'open'>): SnapshotSource {
  let state = first
  let view = viewOf(first)
  const listeners = new Set<(change: SnapshotChange) => void>()
  return {
    current: () => view,
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    secretValue(secret, key) {
      const row = state.sealed.get(secret)?.get(key)
      return row === undefined ? undefined : sealer.open({ kind: 'Secret', uid: row.uid, field: key }, row)
    },
    tokens: { byDigest: (digest) => state.tokens.get(digest) },
    apply(revision, deltas) {
      state = applyDeltas(state, revision, deltas)
      view = viewOf(state)
      const change = { revision, changed: deltas.flatMap(changedOf) }
      for (const listener of listeners) listener(change)
    },
  }
}

const viewOf = ({ revision, projects, servers }: State): Snapshot => ({
  revision,
  project: projects.get,
  server: servers.get,
})

function changedOf({ before, after }: Delta): SnapshotChange['changed'] {
  const one: Stored | undefined = after ?? before
  if (one === undefined) return []
  const operation = after === undefined ? 'remove' : before === undefined ? 'insert' : 'replace'
  return [{ kind: one.resource.kind, name: one.resource.metadata.name, project: one.project, operation }]
}
