import { isDeepStrictEqual } from 'node:util'
import { Instance } from '../../kinds/instance.ts'
import type { KindDefinition, Resource } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'
import type { Admitted } from '../admission/validate.ts'
import type { Changed, Changes, ChangeStep } from '../change/change.ts'
import type { PlanInput } from '../change/plan.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import { shardedMap, type ShardedMap } from '../snapshot/sharded-map.ts'
import type { State } from '../snapshot/state.ts'
import { keyOf, type Stored } from '../stored.ts'

/** What runs at this moment, as resources. */
export interface InstanceSource {
  list(): readonly Instance[]
  /** Ends one, with what it is doing; resolves when it has ended. False: it is gone already. */
  stop(uid: string): Promise<boolean>
}

export interface InstanceDeps {
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly changes: Changes
  readonly instances: InstanceSource
}

const DEFINITION = Instance as unknown as KindDefinition

/**
 * The API's view of things with Instances in it. They are no rows: read, they are what runs now; deleted, they are
 * stopped. Everything else about them is as it is for each kind: permissions, filters, the record.
 */
export function withInstances<D extends InstanceDeps>(deps: D): D {
  const { snapshot, changes, instances } = deps
  const state = (): State => stateWith(snapshot.state(), instances)
  const named = (name: string): Stored | undefined =>
    state().resources.get(DEFINITION.kind)?.get(keyOf('', name))
  return {
    ...deps,
    snapshot: { ...snapshot, state },
    changes: {
      async apply(inputs, before, options) {
        const [ours, others] = split(inputs)
        before.permit(ours.map(({ manifest }) => stepOf('view', manifest, named(manifest.name))))
        if (ours.length > 0 && options?.only === 'create') throw systemMade()
        const standing = ours.map(({ manifest }) => asItStands(manifest, named(manifest.name)))
        const rest =
          ours.length > 0 && others.length === 0 ? [] : await changes.apply(others, before, options)
        return [...rest, ...standing]
      },
      async remove(target, before, options) {
        if (target.definition !== DEFINITION) return changes.remove(target, before, options)
        const found = named(target.name)
        const step = stepOf('delete', target, found)
        before.permit([step])
        if (found === undefined) throw gone()
        await before.announce([step])
        if (!(await instances.stop(found.resource.metadata.uid))) throw gone()
      },
    },
  }
}

function split(
  inputs: readonly PlanInput[],
): readonly [ours: readonly PlanInput[], others: readonly PlanInput[]] {
  const isOurs = ({ manifest }: PlanInput): boolean => manifest.definition === DEFINITION
  return [inputs.filter(isOurs), inputs.filter((input) => !isOurs(input))]
}

/**
 * One that is described as it is: what was read can be applied.
 *
 * @throws Fault `invalid` for anything else
 */
function asItStands(manifest: Admitted, stored: Stored | undefined): Changed {
  if (!isDeepStrictEqual(stored?.resource.spec, manifest.spec)) throw systemMade()
  return { manifest, action: 'unchanged', stored, secret: undefined }
}

const stepOf = (
  verb: ChangeStep['verb'],
  manifest: ChangeStep['manifest'],
  before: Stored | undefined,
): ChangeStep => ({ verb, manifest, before, spec: undefined, bySystem: false })

const systemMade = (): Fault =>
  new Fault('invalid', {
    problems: ['kind: an Instance is made by the system; it can be read, and deleted, which stops it'],
    hint: 'nothing was changed',
  })

const gone = (): Fault =>
  new Fault('not_found', { hint: 'castellan get instances lists those that there are' })

function stateWith(state: State, instances: InstanceSource): State {
  const named = lazyMap(() =>
    shardedMap(
      listed(instances).map((stored) => [keyOf('', stored.resource.metadata.name), stored] as const),
    ),
  )
  const prefix = `${DEFINITION.uidPrefix}_`
  const byUid = (uid: string): Stored | undefined =>
    uid.startsWith(prefix)
      ? [...named.values()].find(({ resource }) => resource.metadata.uid === uid)
      : state.byUid.get(uid)
  return {
    ...state,
    resources: new Map(state.resources).set(DEFINITION.kind, named),
    byUid: { ...state.byUid, get: byUid, has: (uid) => byUid(uid) !== undefined },
  }
}

const listed = (instances: InstanceSource): readonly Stored[] =>
  instances.list().map((instance) => ({
    definition: DEFINITION,
    resource: instance as Resource,
    project: '',
    revision: 0,
    createdAtMs: Date.parse(instance.metadata.createdAt),
  }))

/** Most requests are about something else: nothing is listed before somebody looks. */
function lazyMap<V>(make: () => ShardedMap<V>): ShardedMap<V> {
  let made: ShardedMap<V> | undefined
  const map = (): ShardedMap<V> => (made ??= make())
  return {
    get size() {
      return map().size
    },
    get: (key) => map().get(key),
    has: (key) => map().has(key),
    values: () => map().values(),
    entries: () => map().entries(),
    with: (key, value) => map().with(key, value),
    without: (key) => map().without(key),
  }
}
