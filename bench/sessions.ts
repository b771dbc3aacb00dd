import type { Era } from '../src/protocol/revisions.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { gather, makeTokens, repeat } from './crowd.ts'
import { inspectable, openHeapMeter, type HeapMeter } from './inspector.ts'
import { freePort } from './peers.ts'
import { rssMiB, startProgram } from './processes.ts'
import type { Part } from './part.ts'
import { printVerdicts, type Verdict } from './report.ts'
import { addProject, serverName } from './stand.ts'
import { measureStreams, type StreamFigures } from './streams.ts'

/** How many sessions; fewer in a quick run, whose figures mean nothing. */
interface Size {
  readonly idle: number
  /** After how many sessions opened and dropped the heap is looked at. */
  readonly dropped: readonly number[]
  readonly streams: number
}

const FULL: Size = { idle: 5000, dropped: [20_000, 60_000, 100_000], streams: 1000 }
const QUICK: Size = { idle: 500, dropped: [500, 1000, 2000], streams: 100 }
const WARM_UP = 2000
/** One principal may have so many sessions; one more ends the longest unused. */
const PER_PRINCIPAL = 1000
const MIB = 2 ** 20

interface Place {
  readonly daemon: Daemon
  readonly heap: HeapMeter
}

/** What sessions and streams cost: memory of idle ones, of ones that are gone, and the way of one change to all. */
export const sessions: Part = async ({ quick }) => {
  const size = quick ? QUICK : FULL
  const idle = {
    modern: await measureIdle('modern', size.idle),
    legacy: await measureIdle('legacy', size.idle),
  }
  printVerdicts(judgeIdle(idle))
  const dropped = await measureDropped(size.dropped)
  printVerdicts(judgeDropped(dropped))
  const streams = await measureStreams(size.streams)
  printVerdicts(streams.flatMap((figures) => judgeStreams(figures, size.streams)))
  return { sessions: { idle, dropped, streams } }
}

const judgeIdle = ({ modern, legacy }: Record<Era, IdleFigures>): Verdict[] => [
  {
    what: 'idle legacy session, bytes of heap',
    measured: modern.heapBytes,
    bound: 4096,
    better: 'lower',
    digits: 0,
  },
  { what: 'the same, bytes of RSS', measured: modern.rssBytes, digits: 0 },
  { what: 'the same before a server with sessions, bytes of heap', measured: legacy.heapBytes, digits: 0 },
  { what: 'the same before a server with sessions, bytes of RSS', measured: legacy.rssBytes, digits: 0 },
]

const judgeDropped = ({ after, heapMiB, rssMiB }: DroppedFigures): Verdict[] => [
  ...after.flatMap((count, i) => [
    { what: `heap after ${count} sessions opened and dropped, MiB`, measured: heapMiB[i] ?? NaN },
    { what: 'RSS then, MiB', measured: rssMiB[i] ?? NaN, digits: 0 },
  ]),
  {
    what: 'heap grown from the first of these to the last, MiB',
    measured: (heapMiB.at(-1) ?? NaN) - (heapMiB[0] ?? NaN),
    bound: 1,
    better: 'lower',
  },
]

function judgeStreams(
  { server, upstreamStreams, updatedMs, listMs }: StreamFigures,
  count: number,
): Verdict[] {
  const aim = { better: 'lower', digits: 0 } as const
  return [
    {
      ...aim,
      what: `streams to a ${server} server for ${count} listeners`,
      measured: upstreamStreams,
      bound: 1,
    },
    { ...aim, what: 'a changed resource to all of them, ms', measured: updatedMs, bound: 250 },
    { ...aim, what: 'a changed list to all of them, ms', measured: listMs, bound: 250 },
  ]
}

async function withDaemon<T>(work: (place: Place) => Promise<T>): Promise<T> {
  const port = await freePort()
  const daemon = await startDaemon(await makeHome(), 0, { env: inspectable(port) })
  const heap = await openHeapMeter(daemon.pid, port)
  try {
    return await work({ daemon, heap })
  } finally {
    // First: a process that is inspected does not end.
    heap.close()
    await daemon.stop()
    await removeHome(daemon.home)
  }
}

interface IdleFigures {
  readonly heapBytes: number
  readonly rssBytes: number
}

/** Bytes for each of `count` sessions that have opened, made one call, and fallen silent. */
async function measureIdle(era: Era, count: number): Promise<IdleFigures> {
  const upstream = await startProgram('null-upstream.ts', ['--era', era])
  const result = await withDaemon(async ({ daemon, heap }) => {
    const { crowd, tool } = await crowdBefore(
      daemon,
      `${upstream.origin}/mcp`,
      Math.ceil(count / PER_PRINCIPAL),
    )
    const open = async (index: number) => {
      const member = await crowd.open(index)
      await member.ask('tools/call', { name: tool, arguments: {} })
      return member
    }
    // Until the process has compiled what it runs, and holds what it holds anyway.
    await repeat(WARM_UP, async (index) => (await open(index)).end())
    const before = { heap: await heap.bytes(), rss: await rssMiB(daemon.pid) }
    await repeat(count, async (index) => void (await open(index)))
    const after = { heap: await heap.bytes(), rss: await rssMiB(daemon.pid) }
    await crowd.close()
    return {
      heapBytes: (after.heap - before.heap) / count,
      rssBytes: ((after.rss - before.rss) * MIB) / count,
    }
  })
  await upstream.stop()
  return result
}

async function crowdBefore(daemon: Daemon, url: string, principals: number) {
  await addProject(daemon, 'crowd', { null: url })
  const crowd = gather(daemon, 'crowd', await makeTokens(daemon, 'crowd', principals))
  return { crowd, tool: `${serverName('crowd', 'null')}__echo` }
}

interface DroppedFigures {
  /** Sessions so far. */
  readonly after: readonly number[]
  readonly heapMiB: readonly number[]
  readonly rssMiB: readonly number[]
}

/**
 * Memory after so many sessions have come and gone: one half ended as they should, the other half left behind until the
 * bound on the sessions of one principal ends them. Every fourth has had a session of its own at a server.
 */
async function measureDropped(after: readonly number[]): Promise<DroppedFigures> {
  const upstream = await startProgram('null-upstream.ts', ['--era', 'legacy'])
  const result = await withDaemon(async ({ daemon, heap }) => {
    const { crowd, tool } = await crowdBefore(daemon, `${upstream.origin}/mcp`, 4)
    const heapMiB: number[] = []
    const rss: number[] = []
    let done = 0
    for (const count of after) {
      await repeat(count - done, async (index) => {
        const member = await crowd.open(index)
        if (index % 16 < 4) await member.ask('tools/call', { name: tool, arguments: {} })
        if (index % 8 < 4) await member.end()
      })
      done = count
      heapMiB.push((await heap.bytes()) / MIB)
      rss.push(await rssMiB(daemon.pid))
    }
    await crowd.close()
    return { after, heapMiB, rssMiB: rss }
  })
  await upstream.stop()
  return result
}
