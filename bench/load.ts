import { openAsked } from './drive-asked.ts'
import { createEventDrivers } from './drive-events.ts'
import { openPlain } from './drive-plain.ts'
import type { Drive, Job, Load, Tally } from './job.ts'

const openEvents = createEventDrivers()

async function open(job: Job, index: number): Promise<Drive> {
  const { manner } = job
  if (manner.by === 'asked') return openAsked(job, manner.era, index)
  return manner.by === 'plain' ? openPlain(job, index) : openEvents(job, index)
}

async function run(job: Job): Promise<Load> {
  const drives = await Promise.all(Array.from({ length: job.connections }, (_, i) => open(job, i)))
  const began = performance.now()
  const tally: Tally = { end: began + job.measureMs, latencies: [], failed: 0, bytes: 0 }
  const cpu = process.cpuUsage()
  await Promise.all(drives.map((drive) => drive(tally)))
  const used = process.cpuUsage(cpu)
  const sorted = Float64Array.from(tally.latencies).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  const seconds = job.measureMs / 1000
  return {
    requests: sorted.length,
    seconds,
    perSecond: sorted.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    failed: tally.failed,
    bytes: tally.bytes,
    busy: (used.user + used.system) / 1000 / (performance.now() - began),
  }
}

process.on('message', (job: Job) => {
  run(job).then(
    (load) => process.send?.(load),
    (thrown: unknown) => {
      console.error(thrown)
      process.exit(1)
    },
  )
})
