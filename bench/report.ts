import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { Figures } from './measure.ts'

/** Rows of text as aligned columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

const ratio = (of: number | undefined, to: number | undefined): string =>
  of === undefined || to === undefined ? '-' : (of / to).toFixed(2)

const CONTESTANTS = ['direct', 'floor', 'castellan'] as const

/** One block of the table: the contestants at one load, and what they are of the floor. */
export function block(figures: ReadonlyMap<string, Figures>, load: string): string[][] {
  const of = (contestant: string) => figures.get(`${contestant} ${load}`)
  const floor = of('floor')
  const direct = of('direct')
  return CONTESTANTS.flatMap((contestant) => {
    const it = of(contestant)
    if (it === undefined) return []
    return [
      [
        `${contestant} ${load}`,
        it.perSecond.toFixed(0),
        ratio(it.perSecond, floor?.perSecond),
        it.p50.toFixed(2),
        direct === undefined ? '-' : (it.p50 - direct.p50).toFixed(2),
        it.p99.toFixed(2),
        direct === undefined ? '-' : (it.p99 - direct.p99).toFixed(2),
        it.cpuUs.toFixed(0),
        ratio(it.cpuUs, floor?.cpuUs),
        it.rssMiB.toFixed(0),
        it.loadBusy.toFixed(2),
        String(it.failed),
      ],
    ]
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

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
