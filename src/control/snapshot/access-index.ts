import type { AccessIndex, NamedRules } from '../../access/access-view.ts'
import type { GroupSpec } from '../../kinds/group.ts'
import type { RoleBindingSpec } from '../../kinds/role-binding.ts'
import { subjectKey } from '../../kinds/subject.ts'
import type { Stored } from '../stored.ts'
import { shardedMap, type ShardedMap } from './sharded-map.ts'

/** Who is given what and who belongs to whom, so that a change costs what it touches. */
interface Tables {
  /** By subject. */
  readonly bindings: ShardedMap<readonly NamedRules[]>
  /** By member: names of Groups. */
  readonly members: ShardedMap<readonly string[]>
  /** By claim: names of Groups. */
  readonly claims: ShardedMap<readonly string[]>
}

/** The index with the tables that it reads. */
export interface IndexedAccess extends AccessIndex {
  readonly tables: Tables
}

const NONE: readonly never[] = []

const indexed = (tables: Tables): IndexedAccess => ({
  tables,
  bindingsOf: (subject) => tables.bindings.get(subject) ?? NONE,
  groupsOf: (member) => tables.members.get(member) ?? NONE,
  groupsByClaim: (claim) => tables.claims.get(claim) ?? NONE,
})

/** Kinds on which rights depend. */
const CONCERNED: ReadonlySet<string> = new Set(['RoleBinding', 'Group', 'User', 'ServiceAccount', 'Token'])

const nameOf = ({ resource }: Stored): string => resource.metadata.name

export function buildAccess(all: readonly Stored[]): IndexedAccess {
  const bindings = new Map<string, NamedRules[]>()
  const members = new Map<string, string[]>()
  const claims = new Map<string, string[]>()
  const put = <V>(map: Map<string, V[]>, key: string, value: V): void => {
    const known = map.get(key)
    if (known === undefined) map.set(key, [value])
    else known.push(value)
  }
  for (const stored of all) {
    for (const [key, rules] of bindingsIn(stored)) put(bindings, key, rules)
    for (const [key, group] of membersIn(stored)) put(members, key, group)
    for (const [key, group] of claimsIn(stored)) put(claims, key, group)
  }
  return indexed({
    bindings: shardedMap(bindings),
    members: shardedMap(members),
    claims: shardedMap(claims),
  })
}

/** The index after one change; the same object where no right can depend on it. */
export function accessAfter(
  access: IndexedAccess,
  before: Stored | undefined,
  after: Stored | undefined,
): IndexedAccess {
  const kind = (after ?? before)?.resource.kind
  if (kind === undefined || !CONCERNED.has(kind)) return access
  let { bindings, members, claims } = access.tables
  if (before !== undefined) {
    const name = nameOf(before)
    for (const [key] of bindingsIn(before)) bindings = without(bindings, key, (one) => one.name === name)
    for (const [key] of membersIn(before)) members = without(members, key, (one) => one === name)
    for (const [key] of claimsIn(before)) claims = without(claims, key, (one) => one === name)
  }
  if (after !== undefined) {
    for (const [key, rules] of bindingsIn(after)) bindings = withOne(bindings, key, rules)
    for (const [key, group] of membersIn(after)) members = withOne(members, key, group)
    for (const [key, group] of claimsIn(after)) claims = withOne(claims, key, group)
  }
  return indexed({ bindings, members, claims })
}

function bindingsIn({ resource }: Stored): readonly (readonly [string, NamedRules])[] {
  if (resource.kind !== 'RoleBinding') return NONE
  const { subjects, bindings } = resource.spec as RoleBindingSpec
  const rules = { name: resource.metadata.name, rules: bindings }
  return subjects.map((subject) => [subjectKey(subject), rules] as const)
}

const membersIn = ({ resource }: Stored): readonly (readonly [string, string])[] =>
  resource.kind === 'Group'
    ? (resource.spec as GroupSpec).members.map((one) => [subjectKey(one), resource.metadata.name] as const)
    : NONE

const claimsIn = ({ resource }: Stored): readonly (readonly [string, string])[] =>
  resource.kind === 'Group'
    ? (resource.spec as GroupSpec).claims.map((claim) => [claim, resource.metadata.name] as const)
    : NONE

function without<V>(
  map: ShardedMap<readonly V[]>,
  key: string,
  isIt: (one: V) => boolean,
): ShardedMap<readonly V[]> {
  const rest = (map.get(key) ?? NONE).filter((one) => !isIt(one))
  return rest.length === 0 ? map.without(key) : map.with(key, rest)
}

const withOne = <V>(map: ShardedMap<readonly V[]>, key: string, one: V): ShardedMap<readonly V[]> =>
  map.with(key, [...(map.get(key) ?? NONE), one])
