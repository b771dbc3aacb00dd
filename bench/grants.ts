import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Grant } from '../src/grants/grant.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { oauthGrant, staticGrant } from '../test/fixtures/grant-memory.ts'
import { prepare } from './client.ts'
import { repeat } from './crowd.ts'
import { measureAlone, type AloneFigures } from './grants-alone.ts'
import { keep, openHome } from './grants-store.ts'
import { inspectable, openHeapMeter } from './inspector.ts'
import { compare, measure, median, type Figures } from './measure.ts'
import type { Bench, Part } from './part.ts'
import { freePort } from './peers.ts'
import { rssMiB, startProgram, type Measured } from './processes.ts'
import { printDoubts, printVerdicts, table, type Verdict } from './report.ts'
import { addProject, serverName } from './stand.ts'

const MIB = 2 ** 20
/** What stands before the same server, from nothing to an account of each caller's own. */
const PLAIN = 'plain'
const WAITING = 'before-forward'
/** The same, called with the token of a person, whose rights are looked at too. */
const OF_A_USER = 'before-forward, a user'
const WITH_GRANT = ['static', 'oauth', 'per-user'] as const
const OWNER = 'u0'

/** What grants cost: alone, in a call, by the thousand, and when nobody uses them. */
export const grants: Part = async (bench) => {
  const people = bench.quick ? 300 : 10_000
  const alone = await measureAlone(people)
  printVerdicts(judgeAlone(alone))
  if (!bench.withCastellan) return { grants: { alone } }
  const calls = await measureCalls(bench)
  printCalls(calls)
  const idle = await measureIdle(bench.quick)
  const start = await measureStarts(people)
  printVerdicts([...judgeIdle(idle), ...judgeStart(start, people)])
  return { grants: { alone, calls: Object.fromEntries(calls), idle, start } }
}

function judgeAlone({ staticUs, oauthUs, peopleUs, coldMs, stampede }: AloneFigures): Verdict[] {
  const aim = { better: 'lower', bound: 5 } as const
  const { people } = stampede
  return [
    { ...aim, what: 'a credential that was given, µs of each call', measured: staticUs },
    { ...aim, what: 'a token, µs of each call', measured: oauthUs },
    { ...aim, what: `a token of one of ${people} people, µs of each call`, measured: peopleUs },
    { what: 'one that is not in memory, ms', measured: coldMs },
    { what: `${people} that run out together: refreshed within s`, measured: stampede.seconds },
    {
      what: 'requests at the token endpoint, for each of them',
      measured: stampede.asked / people,
      bound: 1,
      better: 'lower',
    },
    { what: 'of these at one time', measured: stampede.mostAtOnce, bound: 8, better: 'lower', digits: 0 },
    { what: 'meanwhile: delay of the loop, p99 ms', measured: stampede.loopP99 },
    {
      what: 'meanwhile: a token that is good, p99 ms',
      measured: stampede.goodP99,
      bound: 5,
      better: 'lower',
    },
    { what: 'the same before, p99 ms', measured: stampede.goodP99Before },
    { what: 'not refreshed', measured: stampede.failed, bound: 0, better: 'lower', digits: 0 },
  ]
}

const auth = (name: (typeof WITH_GRANT)[number]): object =>
  name === 'per-user'
    ? { grant: 'oauth:mine', whose: 'per-user' }
    : { grant: name === 'oauth' ? 'oauth:ours' : 'mcp:ours' }

/** A daemon with grants in its database, as people would have given them. */
async function startWith(
  prepareIt: (daemon: Daemon) => Promise<readonly Grant[]>,
  env: Readonly<Record<string, string>> = {},
): Promise<Daemon> {
  const home = await makeHome()
  const first = await startDaemon(home)
  const given = await prepareIt(first)
  await first.stop()
  const open = await openHome(home)
  await keep(open.rows, given)
  await open.close()
  return startDaemon(home, 0, { env })
}

const person = (name: string): object => ({ kind: 'User', metadata: { name }, spec: {} })
/** A binding has a bound on its subjects. */
const mayCall = (count: number): object[] =>
  Array.from({ length: Math.ceil(count / 1000) }, (_, part) => ({
    kind: 'RoleBinding',
    metadata: { name: `people-${part}` },
    spec: {
      subjects: Array.from({ length: Math.min(1000, count - part * 1000) }, (_, i) => ({
        kind: 'User',
        name: `u${part * 1000 + i}`,
      })),
      bindings: [{ role: 'run', resource: '*' }],
    },
  }))

async function uidOf(daemon: Daemon, user: string): Promise<string> {
  const found = (await daemon.call('GET', `/api/v1/users/${user}`)) as { metadata: { uid: string } }
  return found.metadata.uid
}

async function tokenOf(daemon: Daemon, project: string, user: string): Promise<string> {
  const spec = { owner: { kind: 'User', name: user }, bindings: [{ role: 'run', resource: '*' }] }
  const manifest = { apiVersion: 'castellan/v1', kind: 'Token', metadata: { name: user, project }, spec }
  return ((await daemon.call('POST', '/api/v1/tokens', manifest)) as { secret: string }).secret
}

async function measureCalls({ load, timing }: Bench): Promise<Map<string, Figures>> {
  const upstream = await startProgram('null-upstream.ts', ['--era', 'modern'])
  const tokens = new Map<string, string>()
  const daemon = await startWith((first) => furnish(first, upstream, tokens))
  try {
    const cells = []
    for (const connections of [1, 32])
      for (const name of [PLAIN, WAITING, OF_A_USER, ...WITH_GRANT]) {
        const project = name === OF_A_USER ? WAITING : name
        const url = `${daemon.origin}/projects/${project}/mcp`
        const endpoint = { url, era: 'modern' as const, token: tokens.get(name) }
        const prepared = await prepare(endpoint, connections, `${serverName(project, 'null')}__echo`)
        cells.push({ name: labelOf(name, connections), prepared, connections, pid: daemon.pid })
      }
    return await measure(load, cells, timing)
  } finally {
    await daemon.stop()
    await removeHome(daemon.home)
    await upstream.stop()
  }
}

async function furnish(
  daemon: Daemon,
  { origin }: Measured,
  tokens: Map<string, string>,
): Promise<readonly Grant[]> {
  const url = `${origin}/mcp`
  for (const name of [PLAIN, WAITING]) tokens.set(name, await addProject(daemon, name, { null: url }))
  for (const name of WITH_GRANT)
    tokens.set(name, await addProject(daemon, name, { null: { transport: 'http', url, auth: auth(name) } }))
  const waiting = { servers: [serverName(WAITING, 'null')], audit: { durability: 'before-forward' } }
  await daemon.apply([
    { kind: 'Project', metadata: { name: WAITING }, spec: waiting },
    person(OWNER),
    ...mayCall(1),
  ])
  tokens.set('per-user', await tokenOf(daemon, 'per-user', OWNER))
  tokens.set(OF_A_USER, await tokenOf(daemon, WAITING, OWNER))
  const holder = `user:${await uidOf(daemon, OWNER)}`
  const [origins, now] = [[origin], Date.now()]
  return [
    staticGrant({ name: 'mcp:ours', origins }),
    oauthGrant(now, { name: 'oauth:ours', origins }),
    oauthGrant(now, { name: 'oauth:mine', origins, holder }),
  ]
}

const labelOf = (name: string, connections: number): string => `${name}, ${connections} conn`

function printCalls(figures: ReadonlyMap<string, Figures>): void {
  const rows = [...figures].map(([name, { perSecond, p50, p99, cpuUs }]) => [
    name,
    perSecond.toFixed(0),
    p50.toFixed(2),
    p99.toFixed(2),
    cpuUs.toFixed(0),
  ])
  console.log(`\n${table([['calls', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs'], ...rows])}`)
  const at = (name: string, connections: number) => figures.get(labelOf(name, connections))
  const added = (name: string, to: string, connections: number): number => {
    const [one, other] = [at(name, connections), at(to, connections)]
    return one === undefined || other === undefined ? NaN : compare(one, other, (a, b) => a.p50 - b.p50)
  }
  const ratio = (name: string, to: string): number =>
    (at(name, 32)?.cpuUs ?? NaN) / (at(to, 32)?.cpuUs ?? NaN)
  printVerdicts([
    {
      what: 'a record that is durable first, added p50 ms, 1 conn',
      measured: added(WAITING, PLAIN, 1),
      bound: 1,
      better: 'lower',
    },
    { what: 'the same: CPU, × a call that does not wait, 32 conn', measured: ratio(WAITING, PLAIN) },
    ...WITH_GRANT.flatMap((name): Verdict[] => {
      const to = name === 'per-user' ? OF_A_USER : WAITING
      return [
        { what: `${name}: added p50 ms beside that, 1 conn`, measured: added(name, to, 1) },
        { what: `${name}: CPU, × a call that waits as well, 32 conn`, measured: ratio(name, to) },
      ]
    }),
  ])
  printDoubts(figures)
}

interface IdleFigures {
  readonly people: number
  readonly heapBytes: number
  readonly rssBytes: number
  /** Of these, when nobody has called for a while. */
  readonly leftBytes: number
}

/** The connections of callers are closed after a minute; looked for every so often. */
const UNTIL_CLOSED_MS = 100_000

/** What each of many people holds in memory who have called one server, each with an account of their own. */
async function measureIdle(quick: boolean): Promise<IdleFigures> {
  const [warmUp, people] = quick ? [20, 100] : [300, 2000]
  const upstream = await startProgram('null-upstream.ts', ['--era', 'modern'])
  const port = await freePort()
  const all = warmUp + people
  const tokens: string[] = []
  const daemon = await startWith(async (first) => {
    const spec = { transport: 'http', url: `${upstream.origin}/mcp`, auth: auth('per-user') }
    await addProject(first, 'crowd', { null: spec })
    await first.apply([...Array.from({ length: all }, (_, i) => person(`u${i}`)), ...mayCall(all)])
    const given: Grant[] = []
    for (let i = 0; i < all; i += 1) {
      tokens.push(await tokenOf(first, 'crowd', `u${i}`))
      const holder = `user:${await uidOf(first, `u${i}`)}`
      given.push(oauthGrant(Date.now(), { name: 'oauth:mine', origins: [upstream.origin], holder }))
    }
    return given
  }, inspectable(port))
  const heap = await openHeapMeter(daemon.pid, port)
  const pool = new Pool(daemon.origin, { connections: 8 })
  try {
    const call = async (index: number): Promise<void> => callAs(pool, daemon.origin, tokens[index] ?? '')
    await repeat(warmUp, call)
    const before = { heap: await heap.bytes(), rss: await rssMiB(daemon.pid) }
    await repeat(people, (index) => call(warmUp + index))
    const after = { heap: await heap.bytes(), rss: await rssMiB(daemon.pid) }
    if (!quick) await sleep(UNTIL_CLOSED_MS)
    const left = await heap.bytes()
    return {
      people,
      heapBytes: (after.heap - before.heap) / people,
      rssBytes: ((after.rss - before.rss) * MIB) / people,
      leftBytes: (left - before.heap) / people,
    }
  } finally {
    await pool.close()
    heap.close()
    await daemon.stop()
    await removeHome(daemon.home)
    await upstream.stop()
  }
}

async function callAs(pool: Pool, origin: string, token: string): Promise<void> {
  const endpoint = { url: `${origin}/projects/crowd/mcp`, era: 'modern' as const, token }
  const { headers, method, params } = await prepare(endpoint, 1, `${serverName('crowd', 'null')}__echo`)
  const answer = await pool.request({
    method: 'POST',
    path: '/projects/crowd/mcp',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...headers[0],
    },
    body: `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`,
  })
  const text = await answer.body.text()
  if (answer.statusCode !== 200 || !text.includes('"result"') || text.includes('"isError":true'))
    throw new Error(`a call was answered ${answer.statusCode}: ${text.slice(0, 500)}`)
}

const judgeIdle = ({ people, heapBytes, rssBytes, leftBytes }: IdleFigures): Verdict[] => [
  { what: `each of ${people} people who have called, bytes of heap`, measured: heapBytes, digits: 0 },
  { what: 'the same, bytes of RSS', measured: rssBytes, digits: 0 },
  { what: 'left when nobody has called for a while, bytes of heap', measured: leftBytes, digits: 0 },
]

interface StartFigures {
  readonly withoutMs: number
  readonly withMs: number
}

const STARTS = 5

/** Until it is ready, without and with so many grants in the database. */
async function measureStarts(count: number): Promise<StartFigures> {
  const home = await makeHome()
  const time = async (): Promise<number> => {
    const took: number[] = []
    for (let i = 0; i < STARTS; i += 1) {
      const daemon = await startDaemon(home)
      took.push(daemon.readyMs)
      await daemon.stop()
    }
    return median(took)
  }
  try {
    const withoutMs = await time()
    const open = await openHome(home)
    const holderOf = (i: number): string => `user:usr_${i}`
    await keep(
      open.rows,
      Array.from({ length: count }, (_, i) => oauthGrant(Date.now(), { holder: holderOf(i) })),
    )
    await open.close()
    return { withoutMs, withMs: await time() }
  } finally {
    await removeHome(home)
  }
}

const judgeStart = ({ withoutMs, withMs }: StartFigures, count: number): Verdict[] => [
  { what: 'ready without a grant, ms', measured: withoutMs, digits: 0 },
  { what: `ready with ${count} grants, × that`, measured: withMs / withoutMs, bound: 1.1, better: 'lower' },
]
