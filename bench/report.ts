import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { compare, type Figures } from './measure.ts'

/** Rows of text as aligned columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

/** One figure, beside what was asked for where something was. */
export interface Verdict {
  readonly what: string
  readonly measured: number
  readonly bound?: number
  readonly better?: 'higher' | 'lower'
  /** Of the fraction; default 2. */
  readonly digits?: number
}

export function printVerdicts(verdicts: readonly Verdict[]): void {
  if (verdicts.length === 0) return
  const rows = verdicts.map(({ what, measured, bound, better, digits = 2 }) => {
    if (bound === undefined) return [what, '', measured.toFixed(digits), '']
    const met = better === 'higher' ? measured >= bound : measured <= bound
    return [
      what,
      `${better === 'higher' ? '≥' : '≤'} ${bound}`,
      measured.toFixed(digits),
      met ? 'met' : 'MISSED',
    ]
  })
  console.log(`\n${table([['aim', 'bound', 'measured', ''], ...rows])}`)
}

/** Says which figures are not to be trusted; requests that failed make the run fail. */
export function printDoubts(figures: ReadonlyMap<string, Figures>): void {
  for (const [name, { failed, loadBusy }] of figures) {
    if (loadBusy > 0.9) console.log(`the load generator was the bottleneck of: ${name}`)
    if (failed === 0) continue
    console.log(`${failed} requests failed of: ${name}`)
    process.exitCode = 1
  }
}

const CONTESTANTS = ['direct', 'floor', 'castellan'] as const
const fixed = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? '-' : value.toFixed(digits)

/** A contestant's throughput and CPU as multiples of the floor's, and what it adds to the time of the direct way. */
export interface Comparison {
  readonly throughput: number
  readonly cpu: number
  readonly addedP50: number
  readonly addedP99: number
}

export function compareTo(it: Figures, floor: Figures, direct: Figures): Comparison {
  return {
    throughput: compare(it, floor, (one, other) => one.perSecond / other.perSecond),
    cpu: it.cpuUs / floor.cpuUs,
    addedP50: compare(it, direct, (one, other) => one.p50 - other.p50),
    addedP99: compare(it, direct, (one, other) => one.p99 - other.p99),
  }
}

/** Contestants at one load, as rows of the table below {@link HEADER}. */
export function block(figures: ReadonlyMap<string, Figures>, load: string): string[][] {
  const floor = figures.get(`floor ${load}`)
  const direct = figures.get(`direct ${load}`)
  return CONTESTANTS.flatMap((contestant) => {
    const it = figures.get(`${contestant} ${load}`)
    if (it === undefined || floor === undefined || direct === undefined) return []
    const { throughput, cpu, addedP50, addedP99 } = compareTo(it, floor, direct)
    // oxfmt-ignore
    const row = [
      fixed(it.perSecond, 0), fixed(throughput, 2),
      fixed(it.p50, 2), fixed(addedP50, 2), fixed(it.p99, 2), fixed(addedP99, 2),
      fixed(it.cpuUs, 0), fixed(cpu, 2), fixed(it.rssMiB, 0), fixed(it.loadBusy, 2), String(it.failed),
    ]
    return [[`${contestant} ${load}`, ...row]]
  })
}

// oxfmt-ignore
export const HEADER = [
  'contestant and load', 'req/s', '×floor', 'p50 ms', 'added', 'p99 ms', 'added', 'CPU µs', '×floor', 'RSS MiB', 'load', 'failed',
]

/** What was measured on what: the line of `history.jsonl`. Figures only, nothing that names the machine. */
export function remember(file: URL, options: object, results: object): void {
  const line = {
    at: new Date().toISOString(),
    commit: commit(),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadAverage: Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]),
    options,
    results,
  }
  appendFileSync(file, `${JSON.stringify(line)}\n`)
}

/** The commit, with `+` where files differ from it: such figures belong to no commit. */
function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
  try {
    const changed = git('status', '--porcelain', '--', 'src', 'bin', 'bench', 'package-lock.json')
    return git('rev-parse', '--short', 'HEAD') + (changed === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}
