import { parseArgs } from 'node:util'
import type { Era } from '../src/protocol/revisions.ts'
import { judge } from './aims.ts'
import { prepare } from './client.ts'
import { measureGrowth } from './growth.ts'
import { measure, type Cell, type Figures, type Timing } from './measure.ts'
import { startLoad, type LoadGenerator } from './processes.ts'
import { block, HEADER, remember, table } from './report.ts'
import { castellanEndpoint, contestants, openStand, type LoadName, type Stand } from './stand.ts'
import { measureStart } from './start.ts'

/** `npm run bench`: see docs/performance.md for what it measures and how to read it. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    quick: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    'without-castellan': { type: 'boolean', default: false },
    'no-history': { type: 'boolean', default: false },
  },
})
const timing: Timing = values.quick
  ? { rounds: 1, settleMs: 300, warmUpMs: 300, measureMs: 700 }
  : { rounds: Number(values.rounds), settleMs: 4000, warmUpMs: 500, measureMs: Number(values.seconds) * 1000 }
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

async function measureCalls(stand: Stand, load: LoadGenerator): Promise<Map<string, Figures>> {
  const cells: Cell[] = []
  for (const era of ERAS)
    for (const connections of [1, 32]) cells.push(...(await cellsOf(stand, 'call', era, connections)))
  for (const era of ERAS) cells.push(...(await cellsOf(stand, 'slow', era, 1)))
  return measure(load, cells, timing)
}

async function measureLists(stand: Stand, load: LoadGenerator): Promise<Map<string, Figures>> {
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

function printVerdict(figures: ReadonlyMap<string, Figures>): void {
  const aims = judge(figures)
  if (aims.length > 0) console.log(`\n${table([['aim', 'bound', 'measured', ''], ...aims])}`)
  for (const [name, { failed, loadBusy }] of figures) {
    if (loadBusy > 0.9) console.log(`the load generator was the bottleneck of: ${name}`)
    if (failed === 0) continue
    console.log(`${failed} requests failed of: ${name}`)
    process.exitCode = 1
  }
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

async function main(): Promise<void> {
  const withCastellan = !values['without-castellan']
  const stand = await openStand(withCastellan)
  const load = startLoad()
  try {
    const calls = await measureCalls(stand, load)
    printCalls(calls)
    const lists = await measureLists(stand, load)
    printLists(lists)
    printVerdict(new Map([...calls, ...lists]))
    const growth = values.growth && withCastellan ? await measureGrowth(load, timing) : undefined
    const start = withCastellan ? await measureStart() : undefined
    if (start !== undefined)
      console.log(`\n${table(Object.entries(start).map(([name, value]) => [name, value.toFixed(2)]))}`)
    const results = { calls: Object.fromEntries(calls), lists: Object.fromEntries(lists), growth, start }
    if (!values['no-history']) remember(new URL('history.jsonl', import.meta.url), { ...timing }, results)
  } finally {
    await load.stop()
    await stand.close()
  }
}

await main()
