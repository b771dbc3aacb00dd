import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { ArchiveFile } from './commit-messages.ts'

const DAY_MS = 86_400_000
const FIRST_MS = 60_000
const EVERY_MS = 3_600_000
/** Between two archive files, so that a large backlog leaves the machine to the calls. */
const PAUSE_MS = 100

export interface Retention {
  /** Archives all that is due. One at a time: a second call joins the first. @returns segments moved */
  readonly run: () => Promise<number>
  readonly stop: () => Promise<void>
}

export interface RetentionDeps {
  readonly retentionDays: number
  readonly clock: Clock
  readonly log: Log
  readonly archive: (cutoffMs: number, nowMs: number) => Promise<ArchiveFile | undefined>
  readonly letGo: (archive: ArchiveFile) => Promise<string | undefined>
}

/** Moves segments that are older than the retention out of the record, file by file, soon after the start and hourly. */
export function createRetention(deps: RetentionDeps): Retention {
  let running: Promise<number> | undefined
  let stopped = false
  let timer = setTimeout(tick, FIRST_MS).unref()

  async function all(): Promise<number> {
    let moved = 0
    for (let count = await one(); count > 0; count = await one()) {
      moved += count
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
    return moved
  }

  /** @returns segments moved: 0 when nothing is due or nothing can be done about it now */
  async function one(): Promise<number> {
    if (stopped) return 0
    const nowMs = deps.clock.nowMs()
    const archive = await deps.archive(nowMs - deps.retentionDays * DAY_MS, nowMs)
    if (archive === undefined) return 0
    const problem = await deps.letGo(archive)
    if (problem === undefined) return archive.toSeq - archive.fromSeq + 1
    deps.log.warn({ reason: problem }, 'audit segments are archived and could not be removed from the record')
    return 0
  }

  async function run(): Promise<number> {
    running ??= all().finally(() => (running = undefined))
    return running
  }

  function tick(): void {
    run().catch((error: unknown) =>
      deps.log.warn({ err: error }, 'audit retention failed and is tried again'),
    )
    timer = setTimeout(tick, EVERY_MS).unref()
  }

  return {
    run,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running?.catch(() => 0)
    },
  }
}
