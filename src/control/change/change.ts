import type { TokenOwner } from '../../access/principal.ts'
import type { Subject } from '../../kinds/subject.ts'
import { Fault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/clock.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { bumpRevision, removeResource } from '../../store/resources.ts'
import type { Store } from '../../store/store.ts'
import type { ControlDb } from '../../store/tables.ts'
import { inTransaction } from '../../store/transaction.ts'
import type { Admitted } from '../admission/validate.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import type { Delta } from '../snapshot/state.ts'
import type { Stored } from '../stored.ts'
import { losesAdministrators } from './administrators.ts'
import type { KnownBackends } from './backend-rules.ts'
import { changeBySystem, type SystemTransaction } from './by-system.ts'
import { goesWith } from './cascade.ts'
import {
  LAST_ADMINISTRATOR,
  planChanges,
  type Action,
  type Plan,
  type PlannedChange,
  type PlanInput,
} from './plan.ts'
import { labelOf, listLabels, referrersOf, type Sees } from './references.ts'
import { createPlannedView } from './view.ts'
import { writeChange } from './write.ts'

/** Who makes a change has a say before it is made. */
export interface BeforeChange {
  /**
   * Throws unless they may do all of it. Nothing of what is stored has been told them yet; asked again when nobody else
   * can write any more, since what is there may have changed meanwhile.
   */
  readonly permit: (steps: readonly ChangeStep[]) => void
  /** Whether they may be told that something is there, such as who stands in the way of a change. */
  readonly sees: Sees
  /** For the record: resolves once it is durable; a rejection stops the change. */
  readonly announce: (steps: readonly ChangeStep[]) => Promise<void>
}

export interface ChangeStep {
  /** `view`: it stands as described already. */
  readonly verb: 'create' | 'edit' | 'delete' | 'view'
  readonly manifest: Target
  /** As it is stored; undefined for what is created. */
  readonly before: Stored | undefined
  /** As it will be stored; undefined for what is deleted. */
  readonly spec: unknown
  /** It comes or goes with something else, so nobody has asked for it. */
  readonly bySystem: boolean
}

type Target = Pick<Admitted, 'definition' | 'name' | 'project'>

export interface Changed {
  readonly manifest: Admitted
  readonly action: Action
  /** As it is now; in a dry run as it was, so undefined for what would be created. */
  readonly stored: Stored | undefined
  /** Of a new Token: to be shown once. */
  readonly secret: SecretValue | undefined
}

export interface ApplyOptions {
  readonly dryRun?: boolean
  /** `create`: nothing by that name may exist. `replace`: it must. Default: either. */
  readonly only?: 'create' | 'replace'
  /** The revision of the stored row that the manifest was made from. */
  readonly madeFrom?: number
  /** The caller wants it changed at one of these revisions only (`If-Match`). */
  readonly ifMatch?: readonly number[] | undefined
  /** See `PlanDeps`, as the rest. */
  readonly bySystem?: boolean
  readonly owner?: TokenOwner | undefined
  readonly creator?: Subject | undefined
  readonly force?: boolean
  /** For a request that may come again: asked before and after the planning, and within the transaction. */
  readonly once?: {
    /** Throws what ends it when it was done before. */
    readonly check: (db: ControlDb) => Promise<void>
    readonly keep: (tx: ControlDb, changed: readonly Changed[]) => Promise<void>
  }
}

/** The only way in which resources change. One change after the other; each is all or nothing. */
export interface Changes {
  /** @throws Fault `invalid` with every problem, `conflict`, `changed_meanwhile`, `not_found`, `unavailable` */
  apply(
    inputs: readonly PlanInput[],
    before: BeforeChange,
    options?: ApplyOptions,
  ): Promise<readonly Changed[]>
  /** @throws Fault `conflict` that names who refers to it; `changed_meanwhile`, `not_found` */
  remove(
    target: Target,
    before: BeforeChange,
    options?: Pick<ApplyOptions, 'force' | 'ifMatch'>,
  ): Promise<void>
  /** What the system itself makes and sees: one transaction, visible when it resolves. Who may is the caller's matter. */
  bySystem<T>(work: (tx: SystemTransaction) => Promise<T>): Promise<T>
}

export interface ChangesDeps {
  readonly store: Pick<Store, 'control'>
  readonly sealer: Pick<Sealer, 'seal' | 'open'>
  readonly backends: KnownBackends
  readonly snapshot: Pick<SnapshotSource, 'apply'>
  readonly clock: Clock
}

export function createChanges(deps: ChangesDeps): Changes {
  const oneAfterTheOther = createQueue()
  return {
    apply: (inputs, before, options = {}) => oneAfterTheOther(() => apply(deps, inputs, { before, options })),
    remove: (target, before, options = {}) =>
      oneAfterTheOther(() => remove(deps, target, { before, options })),
    bySystem: (work) => oneAfterTheOther(() => changeBySystem(deps, work)),
  }
}

/** Runs work in the order of the calls, so that deltas reach the snapshot in the order of their revisions. */
function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work)
    last = next.catch(() => undefined)
    return next
  }
}

interface How {
  readonly before: BeforeChange
  readonly options: ApplyOptions
}

async function apply(
  deps: ChangesDeps,
  inputs: readonly PlanInput[],
  { before, options }: How,
): Promise<readonly Changed[]> {
  const ordered = inputs.toSorted(
    (a, b) => a.manifest.definition.applyOrder - b.manifest.definition.applyOrder,
  )
  await options.once?.check(deps.store.control)
  const nowMs = deps.clock.nowMs()
  const { sees } = before
  const plan = await planChanges(
    { ...options, db: deps.store.control, sealer: deps.sealer, backends: deps.backends, nowMs, sees },
    ordered,
  )
  // Another process may have done it since: then the plan is of what comes after it, and says that there is nothing to do.
  await options.once?.check(deps.store.control)
  const asked = new Set(ordered.map(({ manifest }) => manifest))
  const steps = plan.changes.map((change) =>
    stepOf(change, options.bySystem === true || !asked.has(change.manifest)),
  )
  before.permit(steps)
  refuse(plan, options)
  const changing = steps.filter(({ verb }) => verb !== 'view')
  if (options.dryRun === true || changing.length === 0) return plan.changes.map(asUnwritten)
  // The intent is on the record before anything happens, as it is for a call that is forwarded.
  await before.announce(changing)
  return commit(deps, ordered, { before, options, nowMs, asked })
}

const VERBS = { created: 'create', configured: 'edit', unchanged: 'view' } as const

const stepOf = ({ manifest, action, before, spec }: PlannedChange, bySystem: boolean): ChangeStep => ({
  verb: VERBS[action],
  manifest,
  before,
  spec,
  bySystem,
})

const asUnwritten = ({ manifest, action, before }: PlannedChange): Changed => ({
  manifest,
  action,
  stored: before,
  secret: undefined,
})

interface Committing extends How {
  readonly nowMs: number
  /** What the caller has named; the rest comes with it. */
  readonly asked: ReadonlySet<Admitted>
}

/** Plans again, now that nobody else can write, and writes that plan. */
async function commit(
  deps: ChangesDeps,
  inputs: readonly PlanInput[],
  { before, options, nowMs, asked }: Committing,
): Promise<readonly Changed[]> {
  const done = await inTransaction(deps.store, async (tx) => {
    await options.once?.check(tx)
    const plan = await planChanges(
      { ...options, db: tx, sealer: deps.sealer, backends: deps.backends, nowMs, sees: before.sees },
      inputs,
    )
    before.permit(
      plan.changes.map((change) => stepOf(change, options.bySystem === true || !asked.has(change.manifest))),
    )
    refuse(plan, options)
    if (plan.changes.every(({ action }) => action === 'unchanged')) {
      return { revision: undefined, deltas: [], changed: plan.changes.map(asUnwritten) }
    }
    const revision = await bumpRevision(tx)
    const deltas: Delta[] = []
    const changed: Changed[] = []
    for (const change of plan.changes) {
      if (change.action === 'unchanged') {
        changed.push(asUnwritten(change))
        continue
      }
      const written = await writeChange({ tx, sealer: deps.sealer, revision, nowMs }, change)
      deltas.push({
        before: change.before,
        after: written.stored,
        sealed: written.sealed,
        token: written.token,
      })
      changed.push({ ...asUnwritten(change), stored: written.stored, secret: written.secret })
    }
    await options.once?.keep(tx, changed)
    return { revision, deltas, changed }
  })
  if (done.revision !== undefined) await deps.snapshot.apply(done.revision, done.deltas)
  return done.changed
}

function refuse({ changes, problems, conflicts }: Plan, { only, madeFrom, ifMatch }: ApplyOptions): void {
  for (const { before, manifest } of changes) {
    const { kind } = manifest.definition
    if (only === 'create' && before !== undefined) {
      throw new Fault('conflict', { hint: `there is a ${kind} by that name already; apply changes it` })
    }
    if (only === 'replace' && before === undefined) {
      throw new Fault('not_found', { hint: `there is no ${kind} by that name; apply creates it` })
    }
    if (before !== undefined) checkMatch(before, ifMatch)
    if (madeFrom !== undefined && before?.revision !== madeFrom) {
      throw new Fault('conflict', {
        hint: 'it was changed in the meantime; read it again and repeat the change',
      })
    }
  }
  if (problems.length > 0) throw new Fault('invalid', { problems, hint: 'nothing was changed' })
  if (conflicts.length > 0) {
    throw new Fault('conflict', {
      problems: conflicts,
      hint: 'nothing was changed; change those that use it first',
    })
  }
}

function checkMatch({ revision }: Stored, ifMatch: readonly number[] | undefined): void {
  if (ifMatch === undefined || ifMatch.includes(revision)) return
  throw new Fault('changed_meanwhile', { hint: 'nothing was changed; read it again and repeat the change' })
}

async function remove(deps: ChangesDeps, target: Target, { before, options }: How): Promise<void> {
  await before.announce(await checkRemoval(deps.store.control, target, { before, options }))
  const done = await inTransaction(deps.store, async (tx) => {
    const steps = await checkRemoval(tx, target, { before, options })
    const revision = await bumpRevision(tx)
    const going = steps.flatMap((step) => step.before ?? [])
    for (const { resource } of going)
      await removeResource(tx, { uid: resource.metadata.uid, revision, atMs: deps.clock.nowMs() })
    return { revision, going }
  })
  await deps.snapshot.apply(
    done.revision,
    done.going.map((stored) => ({ before: stored, after: undefined })),
  )
}

const removalOf = (stored: Stored, bySystem: boolean): ChangeStep => ({
  verb: 'delete',
  manifest: { definition: stored.definition, name: stored.resource.metadata.name, project: stored.project },
  before: stored,
  spec: undefined,
  bySystem,
})

/** What goes: the target first, then what goes with it. */
async function checkRemoval(
  db: Store['control'],
  { definition, project, name }: Target,
  { before, options: { force, ifMatch } }: How,
): Promise<readonly ChangeStep[]> {
  const view = createPlannedView(db)
  const stored = await view.stored(definition.kind, project, name)
  if (stored === undefined)
    throw new Fault('not_found', { hint: `there is no ${definition.kind} by that name` })
  const going = [stored, ...(await goesWith({ definition, name }, view))]
  const steps = going.map((one, i) => removalOf(one, i > 0))
  before.permit(steps)
  checkMatch(stored, ifMatch)
  const referrers = project === '' ? await referrersOf(definition.kind, name, view) : []
  if (referrers.length > 0) {
    throw new Fault('conflict', {
      problems: [
        `${labelOf({ definition, project, name })} is used by ${listLabels(referrers, before.sees)}`,
      ],
      hint: 'change or delete those first; nothing was deleted',
    })
  }
  view.drop(definition.kind, project, name)
  const taking = [{ kind: definition.kind, before: stored.resource.spec, after: undefined }]
  if (force !== true && (await losesAdministrators(taking, db, view)))
    throw new Fault('conflict', { problems: [LAST_ADMINISTRATOR], hint: 'nothing was deleted' })
  return steps
}
