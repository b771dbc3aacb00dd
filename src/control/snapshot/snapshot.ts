import type { AccessView } from '../../access/access-view.ts'
import type { CredentialTable } from '../../access/authenticate.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { References } from '../../secrets/backends/follow-references.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { changesSince } from '../../store/resources.ts'
import type { ChangeRow, ControlDb } from '../../store/tables.ts'
import { keyOf, type Stored } from '../stored.ts'
import { createElsewhere } from './elsewhere.ts'
import { differences, readContents, readMoved, type Moved } from './read-store.ts'
import { applyDeltas, buildState, refreshValues, type Delta, type State } from './state.ts'
import { accessViewOf, ownerIn } from './access-view.ts'
import type { ProjectView, ServerView } from './views.ts'

/** One state of the configuration. Never changes; ask `current()` again for the next. */
interface Snapshot {
  readonly revision: number
  readonly project: (name: string) => ProjectView | undefined
  readonly projects: () => Iterable<ProjectView>
  readonly server: (name: string) => ServerView | undefined
}

/** What became different with a revision. */
interface SnapshotChange {
  readonly revision: number
  readonly changed: readonly {
    readonly kind: string
    readonly uid: string
    readonly name: string
    /** `''` for a kind of global scope. */
    readonly project: string
    readonly operation: 'insert' | 'replace' | 'remove'
  }[]
}

export interface SnapshotSource {
  current(): Snapshot
  /** All stored resources and how to find one, for the control API. */
  readonly state: () => State
  /** Called after each change, before the request that made it is answered. Returns how to stop. */
  subscribe(listener: (change: SnapshotChange) => void): () => void
  /**
   * Opens a value that is sealed here anew each time: in memory it stays sealed. One that is kept elsewhere is the one
   * that was last read.
   *
   * @throws Fault `unavailable` when it cannot be opened with the present master key
   */
  secretValue(secret: string, key: string): SecretValue | undefined
  readonly credentials: CredentialTable
  /** What the authorizer has to know, at this moment. */
  readonly access: () => AccessView
  /** Takes over what a transaction of this process has committed; resolves when it is visible. */
  apply(revision: number, deltas: readonly Delta[]): Promise<void>
  /** Brings in what other processes have committed; resolves when all of that is visible. */
  catchUp(): Promise<void>
  /**
   * All that was committed after a revision, in order; some of it may not be visible here yet. Undefined: that is not
   * known any more, or the revision is of another database.
   */
  changesSince(revision: number): Promise<readonly ChangeRow[] | undefined>
}

export interface SnapshotDeps {
  readonly db: ControlDb
  readonly sealer: Pick<Sealer, 'open'>
  /** Values that Secrets refer to. */
  readonly references: Pick<References, 'follow' | 'value' | 'mark' | 'onChange'>
}

/** For how long the start, or a change that is made here, waits for values that are kept elsewhere. */
const WAIT_MS = 500
/** The same for what others have changed, which is to be seen here within 100 ms. */
const WAIT_FOLLOWING_MS = 50

/** Reads the whole store once; after that the snapshot follows by deltas. */
export async function openSnapshot(deps: SnapshotDeps): Promise<SnapshotSource> {
  const contents = await readContents(deps.db)
  await createElsewhere(deps.references).prepare(undefined, contents.resources, WAIT_MS)
  return followSnapshot(deps, buildState(contents, deps.references.mark))
}

function followSnapshot({ db, sealer, references }: SnapshotDeps, first: State): SnapshotSource {
  const elsewhere = createElsewhere(references)
  let state = first
  let view = viewOf(first)
  let accessView = accessViewOf(first)
  const listeners = new Set<(change: SnapshotChange) => void>()

  function take(next: State, deltas: readonly Delta[]): void {
    state = next
    view = viewOf(state)
    accessView = accessViewOf(state)
    elsewhere.settle(deltas)
    tell({ revision: next.revision, changed: deltas.flatMap(changedOf) })
  }

  function tell(change: SnapshotChange): void {
    for (const listener of listeners) listener(change)
  }

  /** Values of these Secrets have changed, and nothing that is stored. */
  function takeValues(uids: ReadonlySet<string>): void {
    const secrets = [...uids].flatMap((uid) => state.byUid.get(uid) ?? [])
    if (secrets.length === 0) return
    state = refreshValues(state, new Set(secrets.map(({ resource }) => resource.metadata.name)))
    view = viewOf(state)
    const changed = secrets.flatMap((stored) => changedOf({ before: stored, after: stored }))
    tell({ revision: state.revision, changed })
  }

  async function readOn(): Promise<void> {
    const moved = await readMoved(db, state.revision)
    if (moved === undefined) return readAgain()
    const there = moved.resources.flatMap(({ after }) => after ?? [])
    await elsewhere.prepare(state, there, WAIT_FOLLOWING_MS)
    // What this process has committed meanwhile may be newer than what was read.
    if (moved.revision <= state.revision) return
    const deltas = deltasOf(state, moved)
    take(applyDeltas(state, moved.revision, deltas), deltas)
  }

  async function readAgain(): Promise<void> {
    const from = state
    const contents = await readContents(db)
    await elsewhere.prepare(state, contents.resources, WAIT_FOLLOWING_MS)
    if (state !== from) return readAgain()
    const { out, in: added } = differences(state, contents)
    const emptied = applyDeltas(state, contents.revision, out)
    take(applyDeltas(emptied, contents.revision, added), [...out, ...added])
  }

  references.onChange(takeValues)
  const catchUp = createCatchUp(readOn)
  return {
    current: () => view,
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    secretValue(secret, key) {
      const row = state.sealed.get(secret)?.get(key)
      if (row !== undefined) return sealer.open({ kind: 'Secret', uid: row.uid, field: key }, row)
      const stored = state.resources.get('Secret')?.get(keyOf('', secret))
      return stored === undefined ? undefined : references.value(stored.resource.metadata.uid, key)
    },
    credentials: {
      byDigest: (digest) => state.credentials.get(digest),
      owner: (owner) => ownerIn(state, owner),
    },
    access: () => accessView,
    async apply(revision, deltas) {
      const there = deltas.flatMap(({ after }) => after ?? [])
      await elsewhere.prepare(state, there, WAIT_MS)
      if (revision <= state.revision) return
      if (revision === state.revision + 1) return take(applyDeltas(state, revision, deltas), deltas)
      // Others have committed in between. It is committed too, so it is shown even while theirs cannot be read.
      await catchUp().catch(() => take(applyDeltas(state, state.revision, deltas), deltas))
    },
    catchUp,
    changesSince: (revision) => changesSince(db, revision),
  }
}

/** One reading at a time; who asks while one is going on gets the next, which begins after it was asked for. */
function createCatchUp(read: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  function catchUp(): Promise<void> {
    if (running === undefined) {
      running = read().finally(() => {
        running = undefined
      })
      return running
    }
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return catchUp()
      })
    return next
  }
  return catchUp
}

/** Removals first: a name may have passed from one resource to another. */
function deltasOf(state: State, { resources }: Moved): readonly Delta[] {
  const deltas = resources.flatMap(({ uid, ...rest }): Delta[] => {
    const before = state.byUid.get(uid)
    const known = before?.revision === rest.after?.revision
    return known ? [] : [{ ...rest, before }]
  })
  const isGone = ({ after }: Delta): boolean => after === undefined
  return [...deltas.filter(isGone), ...deltas.filter((delta) => !isGone(delta))]
}

const viewOf = ({ revision, projects, servers }: State): Snapshot => ({
  revision,
  project: projects.get,
  projects: () => projects.values(),
  server: servers.get,
})

function changedOf({ before, after }: Delta): SnapshotChange['changed'] {
  const one: Stored | undefined = after ?? before
  if (one === undefined) return []
  const operation = after === undefined ? 'remove' : before === undefined ? 'insert' : 'replace'
  const { uid, name } = one.resource.metadata
  return [{ kind: one.resource.kind, uid, name, project: one.project, operation }]
}
