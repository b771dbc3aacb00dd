import type { Prepared } from './client.ts'
import type { Load } from './job.ts'
import { cpuUs, rssMiB, type LoadGenerator } from './processes.ts'

/** One thing to measure: a prepared request against one of the contestants. */
export interface Cell {
  readonly name: string
  readonly prepared: Prepared
  readonly connections: number
  /** The process whose CPU and memory are of interest. */
  readonly pid: number
}

/** What a cell came to, over all rounds. */
export interface Figures {
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** CPU of the process and its threads, microseconds for each request. */
  readonly cpuUs: number
  readonly rssMiB: number
  readonly failed: number
  readonly bytes: number
  /** Round by round, to compare with another cell's round at about the same time. */
  readonly rounds: readonly { readonly perSecond: number; readonly p50: number; readonly p99: number }[]
  /** Highest share of a core that the load generator took in a round. */
  readonly loadBusy: number
}

export interface Timing {
  readonly rounds: number
  /** Before the first round, for each cell: until its process has compiled what it runs. */
  readonly settleMs: number
  readonly warmUpMs: number
  readonly measureMs: number
}

interface Round {
  readonly load: Load
  readonly cpuUs: number
  readonly rssMiB: number
}

/** The middle one; for an even count the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const high = sorted[Math.floor(middle)] ?? NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + high) / 2 : high
}

/**
 * How two cells compare: the median over the rounds of what `of` makes of the pair, since the rounds of both lie side
 * by side in time and the machine is not equally fast all the time.
 */
export const compare = (
  one: Figures,
  other: Figures,
  of: (one: Figures['rounds'][number], other: Figures['rounds'][number]) => number,
): number =>
  median(
    one.rounds.flatMap((round, i) => {
      const against = other.rounds[i]
      return against === undefined ? [] : [of(round, against)]
    }),
  )

/**
 * Measures every cell once a round, so that what disturbs the machine for a while disturbs all alike, and takes the
 * median of the rounds. The order alternates: nobody always runs on the heels of the same other.
 */
export async function measure(
  load: LoadGenerator,
  cells: readonly Cell[],
  timing: Timing,
): Promise<Map<string, Figures>> {
  const rounds = new Map<string, Round[]>(cells.map((cell) => [cell.name, []]))
  for (const { prepared, connections } of cells)
    await load.run({ ...prepared, connections, measureMs: timing.settleMs })
  for (let round = 0; round < timing.rounds; round += 1)
    for (const cell of round % 2 === 0 ? cells : cells.toReversed()) {
      rounds.get(cell.name)?.push(await once(load, cell, timing))
      if (process.stderr.isTTY)
        process.stderr.write(`\r\u001B[Kround ${round + 1} of ${timing.rounds}: ${cell.name}`)
    }
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')
  return new Map(Array.from(rounds, ([name, those]) => [name, summarise(those)]))
}

async function once(load: LoadGenerator, cell: Cell, timing: Timing): Promise<Round> {
  const job = { ...cell.prepared, connections: cell.connections }
  // The warm-up is a job of its own: CPU is read between the two, and must count for measured requests only.
  await load.run({ ...job, measureMs: timing.warmUpMs })
  const before = await cpuUs(cell.pid)
  const result = await load.run({ ...job, measureMs: timing.measureMs })
  const used = (await cpuUs(cell.pid)) - before
  return { load: result, cpuUs: used, rssMiB: await rssMiB(cell.pid) }
}

function summarise(rounds: readonly Round[]): Figures {
  const total = (of: (round: Round) => number) => rounds.reduce((sum, round) => sum + of(round), 0)
  const middle = (of: (load: Load) => number) => median(rounds.map((round) => of(round.load)))
  return {
    perSecond: middle((load) => load.perSecond),
    p50: middle((load) => load.p50),
    p99: middle((load) => load.p99),
    cpuUs: total((round) => round.cpuUs) / total((round) => round.load.requests),
    rssMiB: Math.max(...rounds.map((round) => round.rssMiB)),
    failed: total((round) => round.load.failed),
    bytes: Math.max(...rounds.map((round) => round.load.bytes)),
    rounds: rounds.map(({ load: { perSecond, p50, p99 } }) => ({ perSecond, p50, p99 })),
    loadBusy: Math.max(...rounds.map((round) => round.load.busy)),
  }
}
