import { setTimeout as sleep } from 'node:timers/promises'
import { prepare, type Endpoint, type Prepared } from './client.ts'
import { compare, measure, type Cell, type Figures } from './measure.ts'
import type { Part } from './part.ts'
import { installPeers, PEERS, startPeer, type Peer } from './peers.ts'
import type { Measured } from './processes.ts'
import { printDoubts, printVerdicts, table, type Verdict } from './report.ts'
import { addProject, contestants, openStand, serverName, type Stand } from './stand.ts'

const CONNECTIONS = 32
const READY_MS = 30_000
const OURS = 'castellan, before HTTP'
const OURS_STDIO = 'castellan, before stdio'
const BENCH = new URL('.', import.meta.url).pathname

const nameOf = (peer: Peer): string =>
  `${peer.package} ${peer.version}, before ${peer.behind === 'http' ? 'HTTP' : 'stdio'}`

/** Ourselves, the floor and the direct way; the server on a pipe is the one that those of the field have. */
async function ownCells(stand: Stand): Promise<Cell[]> {
  const cells: Cell[] = []
  for (const { name, pid, endpoint, tool } of contestants(stand, 'call', 'legacy')) {
    const prepared = await prepare(endpoint, CONNECTIONS, tool)
    cells.push({ name: name === 'castellan' ? OURS : name, prepared, connections: CONNECTIONS, pid })
  }
  if (stand.castellan === undefined) return cells
  const { daemon } = stand.castellan
  const args = [`${BENCH}null-stdio.ts`]
  const spec = { transport: 'stdio', command: process.execPath, args, mounts: [{ path: BENCH }] }
  const token = await addProject(daemon, 'pipe', { null: spec })
  const endpoint: Endpoint = { url: `${daemon.origin}/projects/pipe/mcp`, era: 'legacy', token }
  const prepared = await prepare(endpoint, CONNECTIONS, `${serverName('pipe', 'null')}__echo`)
  return [...cells, { name: OURS_STDIO, prepared, connections: CONNECTIONS, pid: daemon.pid }]
}

async function peerCell(peer: Peer, { origin, pid }: Measured): Promise<Cell> {
  const endpoint: Endpoint = { url: `${origin}/mcp`, era: 'legacy' }
  const prepared = await whenReady(() => prepare(endpoint, 1, peer.tool), peer, endpoint)
  const all = peer.front === 'http' ? await prepare(endpoint, CONNECTIONS, peer.tool) : prepared
  return { name: nameOf(peer), prepared: all, connections: CONNECTIONS, pid }
}

/** Over HTTP+SSE the load generator opens its sessions itself: the stream is the session. */
async function whenReady(attempt: () => Promise<Prepared>, peer: Peer, { url }: Endpoint): Promise<Prepared> {
  const until = performance.now() + READY_MS
  for (;;) {
    try {
      if (peer.front === 'http') return await attempt()
      const abort = new AbortController()
      const { ok } = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal })
      abort.abort()
      if (!ok) throw new Error('it does not serve yet')
      const params = JSON.stringify({ name: peer.tool, arguments: { message: 'hello' } })
      return { manner: { by: 'http+sse' }, url, method: 'tools/call', params, headers: [{}] }
    } catch (thrown) {
      if (performance.now() > until)
        throw new Error(`${peer.package} was not ready in time`, { cause: thrown })
      await sleep(200)
    }
  }
}

function print(figures: ReadonlyMap<string, Figures>): void {
  const floor = figures.get('floor')
  const ours = figures.get(OURS)
  if (floor === undefined) return
  const rows = Array.from(figures, ([name, it]) => [
    name,
    it.perSecond.toFixed(0),
    compare(it, floor, (one, other) => one.perSecond / other.perSecond).toFixed(2),
    it.p50.toFixed(2),
    it.p99.toFixed(2),
    it.cpuUs.toFixed(0),
    (it.cpuUs / floor.cpuUs).toFixed(2),
    it.rssMiB.toFixed(0),
    String(it.failed),
  ])
  console.log(
    table([
      [
        'gateway, 32 connections',
        'req/s',
        '×floor',
        'p50 ms',
        'p99 ms',
        'CPU µs',
        '×floor',
        'RSS MiB',
        'failed',
      ],
      ...rows,
    ]),
  )
  const stdio = figures.get(OURS_STDIO)
  printVerdicts(
    PEERS.flatMap((peer): Verdict[] => {
      const it = figures.get(nameOf(peer))
      const us = peer.behind === 'http' ? ours : stdio
      if (it === undefined || us === undefined) return []
      const what = `throughput, × ${nameOf(peer)}`
      const measured = compare(us, it, (one, other) => one.perSecond / other.perSecond)
      // The one of them that puts many servers behind one endpoint, as we do.
      return peer.package === 'mcp-hub'
        ? [{ what, measured, bound: 8, better: 'higher' }]
        : [{ what, measured }]
    }),
  )
}

/** Beside the gateways that npm offers, each before the same null server, as it supports it. */
export const peers: Part = async ({ load, timing, withCastellan }) => {
  const obstacle = await installPeers()
  if (obstacle !== undefined) {
    console.log(`the peers are left out: ${obstacle}`)
    return {}
  }
  const stand = await openStand(withCastellan)
  const running: Measured[] = []
  try {
    const cells = await ownCells(stand)
    for (const peer of PEERS) {
      const started = await startPeer(peer, stand.upstream.legacy.origin)
      running.push(started)
      cells.push(await peerCell(peer, started))
    }
    const figures = await measure(load, cells, timing)
    print(figures)
    printDoubts(figures)
    return { peers: Object.fromEntries(figures) }
  } finally {
    await Promise.all(running.map((one) => one.stop()))
    await stand.close()
  }
}
