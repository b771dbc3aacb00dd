import type { Era } from '../src/protocol/revisions.ts'
import { judge } from './aims.ts'
import { prepare } from './client.ts'
import { measure, type Cell, type Figures } from './measure.ts'
import type { Bench, Part } from './part.ts'
import { block, HEADER, printDoubts, printVerdicts, table } from './report.ts'
import { castellanEndpoint, contestants, openStand, type LoadName, type Stand } from './stand.ts'

const ERAS: readonly Era[] = ['legacy', 'modern']

const label = (load: LoadName, era: Era, connections: number): string =>
  `${load === 'slow' ? '1 ms upstream' : 'call'}, ${era}, ${connections} conn`

async function cellsOf(stand: Stand, load: LoadName, era: Era, connections: number): Promise<Cell[]> {
  const cells: Cell[] = []
  for (const { name, pid, endpoint, tool } of contestants(stand, load, era)) {
    const prepared = await prepare(endpoint, connections, tool)
    cells.push({ name: `${name} ${label(load, era, connections)}`, prepared, connections, pid })
  }
  return cells
}

async function measureCalls(stand: Stand, { load, timing }: Bench): Promise<Map<string, Figures>> {
  const cells: Cell[] = []
  for (const era of ERAS)
    for (const connections of [1, 32]) cells.push(...(await cellsOf(stand, 'call', era, connections)))
  for (const era of ERAS) cells.push(...(await cellsOf(stand, 'slow', era, 1)))
  return measure(load, cells, timing)
}

async function measureLists(stand: Stand, { load, timing }: Bench): Promise<Map<string, Figures>> {
  if (stand.castellan === undefined) return new Map()
  const cells: Cell[] = []
  for (const era of ERAS) {
    const prepared = await prepare(castellanEndpoint(stand.castellan, `wide-${era}`, era), 8)
    const name = `castellan tools/list 50×40, ${era}, 8 conn`
    cells.push({ name, prepared, connections: 8, pid: stand.castellan.daemon.pid })
  }
  return measure(load, cells, timing)
}

function printCalls(figures: ReadonlyMap<string, Figures>): void {
  const loads = [...new Set(Array.from(figures.keys(), (name) => name.slice(name.indexOf(' ') + 1)))]
  console.log(table([HEADER, ...loads.flatMap((load) => block(figures, load))]))
}

function printLists(figures: ReadonlyMap<string, Figures>): void {
  const rows = Array.from(figures, ([name, it]) => [
    name,
    it.perSecond.toFixed(0),
    it.p50.toFixed(2),
    it.p99.toFixed(2),
    it.cpuUs.toFixed(0),
    String(it.bytes),
    String(it.failed),
  ])
  if (rows.length > 0)
    console.log(
      `\n${table([['warm listing', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs', 'bytes', 'failed'], ...rows])}`,
    )
}

/** One call in each era, beside the direct way and the floor; and warm lists. */
export const calls: Part = async (bench) => {
  const stand = await openStand(bench.withCastellan)
  try {
    const calls = await measureCalls(stand, bench)
    printCalls(calls)
    const lists = await measureLists(stand, bench)
    printLists(lists)
    printVerdicts(judge(calls))
    printDoubts(new Map([...calls, ...lists]))
    return { calls: Object.fromEntries(calls), lists: Object.fromEntries(lists) }
  } finally {
    await stand.close()
  }
}
