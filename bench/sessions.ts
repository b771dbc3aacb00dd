import type { Era } from '../src/protocol/revisions.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { gather, makeTokens, repeat } from './crowd.ts'
import { inspectable, openHeapMeter, type HeapMeter } from './inspector.ts'
import { freePort } from './peers.ts'
import { rssMiB, startProgram } from './processes.ts'
import { type Verdict } from './report.ts'
import { addProject, serverName } from './stand.ts'
import { measureStreams } from './streams.ts'

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

interface Place {
  readonly daemon: Daemon
  readonly heap: HeapMeter
}

/** What sessions and streams cost: memory of idle ones, of ones that are gone, and the way of one change to all. */
export async function measureSessions(quick: boolean): Promise<{ figures: object; verdicts: Verdict[] }> {
  const size = quick ? QUICK : FULL
  const idle = {
    modern: await measureIdle('modern', size.idle),
    legacy: await measureIdle('legacy', size.idle),
  }
  const dropped = await measureDropped(size.dropped)
  const streams = await measureStreams(size.streams)
  const grown = dropped.heapMiB.at(-1) ?? NaN
  const verdicts: Verdict[] = [
    {
      what: 'idle legacy session, bytes of heap',
      bound: 4096,
      better: 'lower',
      measured: idle.modern.heapBytes,
      digits: 0,
    },
    { what: 'the same, bytes of RSS', measured: idle.modern.rssBytes, digits: 0 },
    {
      what: `the same, each after a call to a server with sessions, heap`,
      measured: idle.legacy.heapBytes,
      digits: 0,
    },
    ...dropped.after.map((count, i) => ({
      what: `heap after ${count} sessions opened and dropped, MiB`,
      measured: dropped.heapMiB[i] ?? NaN,
      digits: 2,
    })),
    {
      what: 'heap grown from the first of these to the last, MiB',
      bound: 1,
      better: 'lower' as const,
      measured: grown - (dropped.heapMiB[0] ?? NaN),
      digits: 2,
    },
    ...streams.flatMap(({ server, upstreamStreams, updatedMs, listMs }) => [
      {
        what: `streams to one ${server} server for ${size.streams} listeners`,
        bound: 1,
        better: 'lower' as const,
        measured: upstreamStreams,
        digits: 0,
      },
      {
        what: `changed resource to all of them, ms (${server} server)`,
        bound: 250,
        better: 'lower' as const,
        measured: updatedMs,
        digits: 0,
      },
      {
        what: `changed list to all of them, ms (${server} server)`,
        bound: 250,
        better: 'lower' as const,
        measured: listMs,
        digits: 0,
      },
    ]),
  ]
  return { figures: { idle, dropped, streams }, verdicts }
}

async function withDaemon<T>(work: (place: Place) => Promise<T>): Promise<T> {
  const port = await freePort()
  const daemon = await startDaemon(await makeHome(), 0, { env: inspectable(port) })
  try {
    const heap = await openHeapMeter(daemon.pid, port)
    const result = await work({ daemon, heap })
    heap.close()
    return result
  } finally {
    await daemon.stop()
    await removeHome(daemon.home)
  }
}

/** Bytes for each of `count` sessions that have opened, made one call, and fallen silent. */
async function measureIdle(era: Era, count: number): Promise<{ heapBytes: number; rssBytes: number }> {
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
      rssBytes: ((after.rss - before.rss) * 2 ** 20) / count,
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

const MIB = 2 ** 20

/**
 * Memory after so many sessions have come and gone: one half ended as they should, the other half left behind until the
 * bound on the sessions of one principal ends them. Every fourth has had a session of its own at a server.
 */
async function measureDropped(after: readonly number[]) {
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
