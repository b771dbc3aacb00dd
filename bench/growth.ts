import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { prepare } from './client.ts'
import { measure, type Figures, type Timing } from './measure.ts'
import { startProgram, type LoadGenerator, type Measured } from './processes.ts'
import { table } from './report.ts'
import { addProject, serverName } from './stand.ts'

/** What grows, from how many to how many. */
const SWEEPS: readonly { what: string; from: number; grow: (at: Place, count: number) => Promise<void> }[] = [
  { what: 'servers', from: 10, grow: growServers },
  { what: 'tools', from: 40, grow: growTools },
  { what: 'tokens', from: 100, grow: growTokens },
  { what: 'past audit rows', from: 10_000, grow: growAudit },
]

interface Place {
  readonly daemon: Daemon
  readonly upstream: Measured
  readonly load: LoadGenerator
}

/** Cost of the same call after each of the things has grown tenfold; a flat row is what we want. */
export async function measureGrowth(
  load: LoadGenerator,
  timing: Timing,
): Promise<Record<string, readonly Figures[]>> {
  const results: Record<string, readonly Figures[]> = {}
  const upstream = await startProgram('null-upstream.ts', ['--era', 'legacy'])
  for (const { what, from, grow } of SWEEPS) {
    const home = await makeHome()
    const daemon = await startDaemon(home)
    const place = { daemon, upstream, load }
    const figures: Figures[] = []
    for (const count of [from, from * 10]) {
      await grow(place, count)
      figures.push(await measureOnce(place, `${what} ${count}`, timing))
    }
    results[what] = figures
    await daemon.stop()
    await removeHome(home)
  }
  await upstream.stop()
  print(results)
  return results
}

let projects = 0

/** The probe: always the same small call, through a project of its own. */
async function measureOnce(
  { daemon, upstream, load }: Place,
  name: string,
  timing: Timing,
): Promise<Figures> {
  const project = `probe-${(projects += 1)}`
  const token = await addProject(daemon, project, { null: `${upstream.origin}/mcp` })
  const endpoint = { url: `${daemon.origin}/projects/${project}/mcp`, era: 'legacy' as const, token }
  const prepared = await prepare(endpoint, 32, `${serverName(project, 'null')}__echo`)
  const cells = [{ name, prepared, connections: 32, pid: daemon.pid }]
  const figures = (await measure(load, cells, timing)).get(name)
  if (figures === undefined) throw new Error('the probe was not measured')
  return figures
}

async function growServers({ daemon, upstream }: Place, count: number): Promise<void> {
  const urls = Array.from({ length: count }, (_, i) => [`s${i}`, `${upstream.origin}/many/4/${i}/mcp`])
  await list(daemon, `servers-${count}`, Object.fromEntries(urls) as Record<string, string>)
}

async function growTools({ daemon, upstream }: Place, count: number): Promise<void> {
  await list(daemon, `tools-${count}`, { wide: `${upstream.origin}/many/${count}/0/mcp` })
}

/** Adds a project and lists its tools once, so that all of them are in memory. */
async function list(daemon: Daemon, project: string, urls: Readonly<Record<string, string>>): Promise<void> {
  const token = await addProject(daemon, project, urls)
  const endpoint = { url: `${daemon.origin}/projects/${project}/mcp`, era: 'legacy' as const, token }
  const { url, headers } = await prepare(endpoint, 1)
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      ...headers[0],
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
  })
  await response.arrayBuffer()
}

async function growTokens({ daemon }: Place, count: number): Promise<void> {
  const project = { kind: 'Project', metadata: { name: 'crowd' }, spec: {} }
  const tokens = Array.from({ length: count }, (_, i) => ({
    kind: 'Token',
    metadata: { name: `one-${i}`, project: 'crowd' },
    spec: {},
  }))
  await daemon.apply([project, ...tokens])
}

async function growAudit(place: Place, count: number): Promise<void> {
  const timing = { rounds: 1, settleMs: 0, warmUpMs: 0, measureMs: 1000 }
  for (let rows = 0; rows < count;) rows += (await measureOnce(place, 'fill', timing)).perSecond
}

function print(results: Readonly<Record<string, readonly Figures[]>>): void {
  const rows = Object.entries(results).map(([what, [small, large]]) => [
    `${what} ×10`,
    small?.perSecond.toFixed(0) ?? '-',
    large?.perSecond.toFixed(0) ?? '-',
    small?.cpuUs.toFixed(0) ?? '-',
    large?.cpuUs.toFixed(0) ?? '-',
    small === undefined || large === undefined ? '-' : (large.cpuUs / small.cpuUs).toFixed(2),
  ])
  console.log(`\n${table([['growth', 'req/s', 'req/s then', 'CPU µs', 'CPU µs then', '× CPU'], ...rows])}`)
}
