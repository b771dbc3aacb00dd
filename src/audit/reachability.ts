import type { ChainWriter } from './record.ts'
import type { FromCommitWorker } from './commit-messages.ts'

/** While nothing is to be written the database is looked for this often. */
const LOOK_MS = 1000
/** Away: it is looked for this often, so that calls are taken soon after it is back. */
const AWAY_MS = 250
/** A database that does not answer for this long would not take an entry in time either. */
const PATIENCE_MS = 3000

export interface Reachability {
  /** The connection broke: look at once. */
  look(): void
  stop(): void
}

export interface ReachabilityDeps {
  readonly ping: NonNullable<ChainWriter['ping']>
  /** A commit is under way, or was a moment ago: what became of it says as much. */
  readonly isBusy: () => boolean
  readonly say: (message: FromCommitWorker) => void
  readonly reasonOf: (error: unknown) => string
}

/**
 * Finds out that the record could not be written before a call is forwarded in the hope that it can: after a quiet
 * time the first call would otherwise be the one that notices.
 */
export function watchReachability({ ping, isBusy, say, reasonOf }: ReachabilityDeps): Reachability {
  let away = false
  let stopped = false
  let looking = false
  let timer = setTimeout(run, LOOK_MS)

  function lost(reason: string): void {
    if (away || stopped) return
    away = true
    say({ type: 'unreachable', reason })
  }

  async function ask(): Promise<void> {
    const late = setTimeout(() => lost('the database does not answer in time'), PATIENCE_MS)
    try {
      await ping()
      if (away && !stopped) say({ type: 'reachable' })
      away = false
    } catch (error) {
      lost(reasonOf(error))
    } finally {
      clearTimeout(late)
    }
  }

  async function lookOnce(): Promise<void> {
    looking = true
    if (away || !isBusy()) await ask()
    looking = false
    if (!stopped) timer = setTimeout(run, away ? AWAY_MS : LOOK_MS)
  }

  function run(): void {
    clearTimeout(timer)
    if (!stopped && !looking) void lookOnce()
  }

  return {
    look: run,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
