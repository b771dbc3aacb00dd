import { isDeepStrictEqual } from 'node:util'
import { Fault } from '../../lib/fault.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { listSealed } from '../../store/sealed.ts'
import type { ControlDb } from '../../store/tables.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import type { TokenOwner } from '../../access/principal.ts'
import type { Subject } from '../../kinds/subject.ts'
import type { Admitted } from '../admission/validate.ts'
import { accessProblems } from './access-rules.ts'
import { grantProblems } from './grant-rules.ts'
import { backendProblems, type KnownBackends } from './backend-rules.ts'
import { losesAdministrators } from './administrators.ts'
import { creatorBinding } from './cascade.ts'
import { ownerProblems, settledSpec } from './token-owner.ts'
import type { Stored } from '../stored.ts'
import { danglingReferences, labelOf, listLabels, referrersOf, type Sees } from './references.ts'
import { createPlannedView, type PlannedView } from './view.ts'

export type Action = 'created' | 'configured' | 'unchanged'

/** What is to be done about one manifest. */
export interface PlannedChange {
  readonly manifest: Admitted
  readonly action: Action
  readonly before: Stored | undefined
  /** What is stored: without secret values. */
  readonly spec: unknown
  readonly specChanged: boolean
  /** Values to seal, and fields to forget. */
  readonly seal: ReadonlyMap<string, SecretValue>
  readonly forget: readonly string[]
}

export interface PlanInput {
  /** For messages: `document 2 (Server/foo)`; empty where there is only one. */
  readonly where: string
  readonly manifest: Admitted
}

export interface Plan {
  /** In the order of the input. */
  readonly changes: readonly PlannedChange[]
  /** What stands against it; with any, nothing may be written. */
  readonly problems: readonly string[]
  /** Things that it would leave without what they refer to. */
  readonly conflicts: readonly string[]
}

export interface PlanDeps {
  readonly db: ControlDb
  readonly sealer: Pick<Sealer, 'open'>
  readonly backends: KnownBackends
  readonly nowMs: number
  /** What messages may name. */
  readonly sees: Sees
  /** Whether kinds that only the system makes may be made. */
  readonly bySystem?: boolean | undefined
  /** Whose a Token becomes that names no owner; absent: the administrator of the host. */
  readonly owner?: TokenOwner | undefined
  /** Who is given each Project that is made. */
  readonly creator?: Subject | undefined
  /** Even if nobody is left who may do everything. */
  readonly force?: boolean | undefined
}

/** Compares manifests with what is stored. Reads only; the same plan is made again inside the transaction. */
export async function planChanges(deps: PlanDeps, inputs: readonly PlanInput[]): Promise<Plan> {
  const view = createPlannedView(deps.db)
  await view.load(inputs.map(({ manifest }) => manifest))
  const problems: string[] = [...duplicateProblems(inputs)]
  const changes: PlannedChange[] = []
  async function take({ where, manifest }: PlanInput): Promise<PlannedChange> {
    const { change, problems: found } = await planOne(deps, view, manifest)
    problems.push(...prefixed(where, found))
    changes.push(change)
    view.put({ ...manifest, spec: change.spec, status: change.before?.resource.status })
    return change
  }
  for (const input of inputs) {
    const { action, manifest } = await take(input)
    const given = action === 'created' && manifest.definition.kind === 'Project' ? deps.creator : undefined
    if (given === undefined) continue
    await take({ where: '', manifest: creatorBinding(manifest.name, given) })
  }
  const conflicts: string[] = []
  const whereOf = new Map(inputs.map(({ where, manifest }) => [manifest, where]))
  for (const { manifest, action, before, spec } of changes) {
    if (action === 'unchanged') continue
    const found = [
      ...(await danglingReferences({ ...manifest, spec }, view)),
      ...(await ownerProblems(manifest, { spec, before }, view)),
      ...(await accessProblems(manifest, spec, view)),
      ...(await grantProblems(manifest, spec, deps.db)),
      ...backendProblems(manifest, spec, deps.backends),
    ]
    problems.push(...prefixed(whereOf.get(manifest) ?? '', found))
    const lost = lostKeys(manifest, before?.resource.spec, spec)
    if (lost.length > 0)
      conflicts.push(...(await lostKeyConflicts(manifest, { lost, sees: deps.sees }, view)))
  }
  const taking = changes.flatMap(({ action, manifest, before, spec }) =>
    action === 'configured' && before !== undefined
      ? [{ kind: manifest.definition.kind, before: before.resource.spec, after: spec }]
      : [],
  )
  if (deps.force !== true && (await losesAdministrators(taking, deps.db, view)))
    conflicts.push(LAST_ADMINISTRATOR)
  return { changes, problems, conflicts }
}

export const LAST_ADMINISTRATOR =
  'nobody would be left who may do everything; give all rights to another user first (castellan create rolebinding NAME --subject User:NAME --admin)'

const prefixed = (where: string, problems: readonly string[]): string[] =>
  problems.map((problem) => (where === '' ? problem : `${where}: ${problem}`))

function duplicateProblems(inputs: readonly PlanInput[]): string[] {
  const seen = new Map<string, string>()
  return inputs.flatMap(({ where, manifest }) => {
    const label = labelOf(manifest)
    const first = seen.get(label)
    if (first === undefined) seen.set(label, where)
    return first === undefined ? [] : [`${where}: is given twice; also in ${first}`]
  })
}

async function planOne(
  deps: PlanDeps,
  view: PlannedView,
  manifest: Admitted,
): Promise<{ change: PlannedChange; problems: readonly string[] }> {
  const { definition } = manifest
  const before = await view.stored(definition.kind, manifest.project, manifest.name)
  const settled = settledSpec(manifest, before, deps.owner)
  const spec = definition.secrets?.withhold(settled) ?? settled
  const secrets = await planSecrets(deps, manifest, before)
  const specChanged =
    before === undefined ||
    !sameJson(before.resource.spec, spec) ||
    secrets.seal.size > 0 ||
    secrets.forget.length > 0
  const change: PlannedChange = {
    manifest,
    before,
    spec,
    specChanged,
    seal: secrets.seal,
    forget: secrets.forget,
    action: actionOf(manifest, before, specChanged),
  }
  const refused = definition.systemMade === true && deps.bySystem !== true && change.action !== 'unchanged'
  const problems = refused
    ? [`kind: a ${definition.kind} is made by the system; it can be read and deleted`]
    : [...secrets.problems, ...refusals(change, deps.nowMs)]
  return { change, problems }
}

function refusals({ manifest, before, spec, specChanged }: PlannedChange, nowMs: number): readonly string[] {
  const { checkNew, checkChange } = manifest.definition
  if (before === undefined) return checkNew?.(spec, nowMs) ?? []
  return specChanged ? (checkChange?.(before.resource.spec, spec) ?? []) : []
}

function actionOf(manifest: Admitted, before: Stored | undefined, specChanged: boolean): Action {
  if (before === undefined) return 'created'
  const { labels, annotations } = before.resource.metadata
  const same = sameJson(labels, manifest.labels) && sameJson(annotations, manifest.annotations)
  return same && !specChanged ? 'unchanged' : 'configured'
}

/** Equal as JSON: what is stored has been through it, and a field that is undefined is one that is not there. */
const sameJson = (a: unknown, b: unknown): boolean => isDeepStrictEqual(a, JSON.parse(JSON.stringify(b)))

interface PlannedSecrets {
  readonly seal: ReadonlyMap<string, SecretValue>
  readonly forget: readonly string[]
  readonly problems: readonly string[]
}

async function planSecrets(
  { db, sealer }: PlanDeps,
  { definition, spec }: Admitted,
  before: Stored | undefined,
): Promise<PlannedSecrets> {
  const seal = new Map<string, SecretValue>()
  if (definition.secrets === undefined) return { seal, forget: [], problems: [] }
  const { kind } = definition
  const uid = before?.resource.metadata.uid ?? ''
  const sealed = new Map(
    (before === undefined ? [] : await listSealed(db, uid)).map((row) => [row.field, row]),
  )
  const given = definition.secrets.of(spec)
  const problems: string[] = []
  for (const [field, value] of Object.entries(given)) {
    const row = sealed.get(field)
    if (value === null) {
      const path = `${definition.secrets.path}.${field}`
      if (row === undefined)
        problems.push(`${path}: null keeps the stored value, and there is none; give one`)
    } else if (row === undefined || !holds(() => sealer.open({ kind, uid, field }, row), value)) {
      seal.set(field, new SecretValue(value))
    }
  }
  const forget = [...sealed.keys()].filter((field) => !Object.hasOwn(given, field))
  return { seal, forget, problems }
}

/** What does not open is not what is given: that is how it is mended. */
function holds(open: () => SecretValue, value: string): boolean {
  try {
    return open().reveal() === value
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    return false
  }
}

function lostKeys({ definition }: Admitted, before: unknown, after: unknown): readonly string[] {
  if (definition.secrets === undefined || before === undefined) return []
  const kept = new Set(definition.secrets.keys(after))
  return definition.secrets.keys(before).filter((key) => !kept.has(key))
}

async function lostKeyConflicts(
  manifest: Admitted,
  { lost, sees }: { readonly lost: readonly string[]; readonly sees: Sees },
  view: PlannedView,
): Promise<string[]> {
  const referrers = await referrersOf(manifest.definition.kind, manifest.name, view)
  return lost.flatMap((key) => {
    const wanting = referrers.filter((referrer) => referrer.key === key)
    return wanting.length === 0
      ? []
      : [`${labelOf(manifest)}: the key ${key} is used by ${listLabels(wanting, sees)}`]
  })
}
