import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../lib/log.ts'
import type { Leases } from './leases.ts'

/** Something to be done again and again, by one daemon for all of a database. */
export interface Job {
  /** Also the name of its lease. */
  readonly name: string
  readonly everyMs: number
  /** Harmless when it is done twice. A failure is logged, and it is tried again at the next time. */
  readonly run: (signal: AbortSignal) => Promise<unknown>
}

/** Runs each job when its lease is ours: at once, and from then on every so often. */
export function runJobs(leases: Leases, log: Log, jobs: readonly Job[]): void {
  for (const job of jobs) leases.withLease(job.name, (signal) => repeat(job, log, signal))
}

async function repeat({ name, everyMs, run }: Job, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await run(signal)
    } catch (thrown) {
      if (!signal.aborted) log.warn({ err: thrown, job: name }, 'what is done from time to time has failed')
    }
    await sleep(everyMs, undefined, { ref: false, signal }).catch(() => undefined)
  }
}
