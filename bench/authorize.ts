import type { AccessIndex, AccessView, NamedRules } from '../src/access/access-view.ts'
import { createAuthorizer } from '../src/access/authorize.ts'
import type { TokenPrincipal } from '../src/access/principal.ts'
import type { Binding } from '../src/kinds/binding.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { prepare } from './client.ts'
import { measure, type Figures } from './measure.ts'
import type { Bench, Part } from './part.ts'
import { startProgram } from './processes.ts'
import { table } from './report.ts'
import { addProject, serverName } from './stand.ts'

/** What a company has: everybody in two groups, which are in ten more; half of the bindings are of groups. */
const USERS = 10_000
const GROUPS = 1000
const BINDINGS = 10_000
const PROJECT = 'null'
const TOOL = `${serverName(PROJECT, 'null')}__echo`

/**
 * What rights cost: of the authorizer alone, in one process; and of a whole call, through a daemon that has nobody in it
 * and one that has a company.
 */
export const authorize: Part = async (bench) => {
  const alone = measureAlone()
  const rows = Object.entries(alone).map(([what, us]) => [what, us.toFixed(2)])
  console.log(table([['authorizer alone', 'µs'], ...rows]))
  if (!bench.withCastellan) return { authorize: { alone } }
  const calls = await measureCalls(bench)
  const [few, many] = [calls.get('nobody'), calls.get('company')]
  const addedUs = few === undefined || many === undefined ? NaN : many.cpuUs - few.cpuUs
  const shown = [...calls].map(([who, { perSecond, cpuUs }]) => [who, perSecond.toFixed(0), cpuUs.toFixed(0)])
  console.log(`\n${table([['calls', 'req/s', 'CPU µs'], ...shown, ['added', '', addedUs.toFixed(1)]])}`)
  return { authorize: { alone, addedUs, calls: Object.fromEntries(calls) } }
}

const groupsOf = (user: number): readonly string[] => [`g${user % GROUPS}`, `g${(user * 7) % GROUPS}`]
const subjectOf = (i: number): string => (i % 2 === 1 ? `Group:g${i % GROUPS}` : `User:u${i % USERS}`)
const rulesOf = (i: number): readonly Binding[] => [
  { role: 'run', resource: 'tools', name: `s${i % 50}__*` },
  { role: 'view', resource: 'servers', name: `s${i % 50}` },
]

/** Each figure for one principal, the mean over all of them. */
function measureAlone(): Readonly<Record<string, number>> {
  const lists = { bindings: new Map<string, NamedRules[]>(), groups: new Map<string, readonly string[]>() }
  for (let user = 0; user < USERS; user++) lists.groups.set(`User:u${user}`, groupsOf(user))
  for (let i = 10; i < GROUPS; i++) lists.groups.set(`Group:g${i}`, [`g${i % 10}`])
  for (let i = 0; i < BINDINGS; i++) {
    const of = lists.bindings.get(subjectOf(i)) ?? []
    of.push({ name: `b${i}`, rules: rulesOf(i) })
    lists.bindings.set(subjectOf(i), of)
  }
  const indexOf = (): AccessIndex => ({
    bindingsOf: (subject) => lists.bindings.get(subject) ?? NONE,
    groupsOf: (member) => lists.groups.get(member) ?? NONE,
    groupsByClaim: () => NONE,
  })
  let index = indexOf()
  const authorizer = createAuthorizer({ view: () => viewOf(index) })
  const each = (look: (principal: TokenPrincipal) => unknown): number => {
    const began = performance.now()
    for (const principal of principals) look(principal)
    return ((performance.now() - began) / USERS) * 1000
  }
  const call = (principal: TokenPrincipal): boolean | undefined =>
    authorizer.project(principal, 'demo')?.tool('s49__get', 's49')
  const first = each(call)
  each(call)
  const warm = each(call)
  index = indexOf()
  const afterOthers = each(call)
  return { 'first call': first, 'a call': warm, 'first call after a binding of another changed': afterOthers }
}

const NONE: readonly never[] = []
const principals: readonly TokenPrincipal[] = Array.from({ length: USERS }, (_, i) => ({
  kind: 'token',
  key: `token:u${i}`,
  uid: `u${i}`,
  name: 'laptop',
  project: 'demo',
  owner: { kind: 'User', name: `u${i}` },
  digest: '',
}))

const viewOf = (index: AccessIndex): AccessView => ({
  index,
  token: (uid) => ({
    name: 'laptop',
    project: 'demo',
    owner: { kind: 'User', name: uid },
    bindings: undefined,
  }),
  tokenNamed: () => undefined,
  owner: ({ name }) => ({ uid: name, disabled: false, claims: [] }),
  inProject: () => true,
})

async function measureCalls({ load, timing }: Bench): Promise<Map<string, Figures>> {
  const upstream = await startProgram('null-upstream.ts', ['--era', 'legacy'])
  const homes = await Promise.all([makeHome(), makeHome()])
  const daemons = await Promise.all(homes.map((home) => startDaemon(home)))
  try {
    const cells = []
    for (const [i, name] of ['nobody', 'company'].entries()) {
      const daemon = daemons[i]
      if (daemon === undefined) continue
      const ofHost = await addProject(daemon, PROJECT, { null: `${upstream.origin}/mcp` })
      const token = name === 'nobody' ? ofHost : await employ(daemon)
      const endpoint = { url: `${daemon.origin}/projects/${PROJECT}/mcp`, era: 'legacy' as const, token }
      const prepared = await prepare(endpoint, 32, TOOL)
      cells.push({ name, prepared, connections: 32, pid: daemon.pid })
    }
    return await measure(load, cells, timing)
  } finally {
    for (const daemon of daemons) await daemon.stop()
    for (const home of homes) await removeHome(home)
    await upstream.stop()
  }
}

/** A company, and a token of somebody in it whose right comes through a group in a group, for this one tool. */
async function employ(daemon: Daemon): Promise<string> {
  const members = Map.groupBy(
    Array.from({ length: USERS }, (_, user) => user).flatMap((user) =>
      [...new Set(groupsOf(user))].map((group) => ({ group, member: { kind: 'User', name: `u${user}` } })),
    ),
    ({ group }) => group,
  )
  const user = (name: string): object => ({ kind: 'User', metadata: { name }, spec: {} })
  const group = (i: number): object => {
    const inner =
      i >= 10 ? [] : Array.from({ length: 20 }, (_, j) => ({ kind: 'Group', name: `g${i + 10 * (j + 1)}` }))
    const people = members.get(`g${i}`)?.map(({ member }) => member) ?? []
    return { kind: 'Group', metadata: { name: `g${i}` }, spec: { members: [...people, ...inner] } }
  }
  const binding = (name: string, subject: string, bindings: readonly Binding[]): object => {
    const [kind, of] = subject.split(':')
    return { kind: 'RoleBinding', metadata: { name }, spec: { subjects: [{ kind, name: of }], bindings } }
  }
  await daemon.apply([
    user('u10'),
    ...Array.from({ length: GROUPS }, (_, i) => group(i)),
    ...Array.from({ length: BINDINGS }, (_, i) => binding(`b${i}`, subjectOf(i), rulesOf(i))),
    binding('of-tools', 'Group:g0', [{ role: 'run', resource: 'tools', name: TOOL }]),
  ])
  const spec = { owner: { kind: 'User', name: 'u10' } }
  const token = {
    apiVersion: 'castellan/v1',
    kind: 'Token',
    metadata: { name: 'u10', project: PROJECT },
    spec,
  }
  const { secret } = (await daemon.call('POST', '/api/v1/tokens', token)) as { secret: string }
  return secret
}
