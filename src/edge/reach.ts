import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Failure } from './control-plane.ts'

export interface ReachDeps {
  readonly isThere: () => Promise<boolean>
  readonly clock: Clock
  readonly log: Log
  /** It answers again after it did not. */
  readonly back: () => void
}

/** Whether the control plane can be reached, as far as anybody has tried lately. */
export interface Reach {
  heard(failure: Failure | undefined): void
  /** It was reached, and not too long ago: after that no caller can be known here, and others may serve them. */
  isReady(): boolean
  close(): void
}

/** As long as a caller can be known at most. */
const READY_MS = 30_000
const LOOK_MS = 1000
/** One that answers callers needs no further asking. */
const QUIET_MS = 5000

const WHY: Readonly<Record<Failure, string>> = {
  away: 'the control plane does not answer: only callers who are known are served',
  strange: 'what answers is no control plane that is understood here: only callers who are known are served',
}

export function createReach({ isThere, clock, log, back }: ReachDeps): Reach {
  let answeredTick: number | undefined
  let failing: Failure | undefined
  let looking = false
  const timer = setInterval(() => void look(), LOOK_MS)
  timer.unref()

  function heard(failure: Failure | undefined): void {
    if (failure === undefined) answeredTick = clock.tickMs()
    if (failure === failing) return
    const before = failing
    failing = failure
    if (failure !== undefined) return log.warn(WHY[failure])
    log.info('the control plane answers')
    if (before !== undefined) back()
  }

  async function look(): Promise<void> {
    const quiet = answeredTick === undefined || clock.tickMs() - answeredTick >= QUIET_MS
    if (looking || (failing === undefined && !quiet)) return
    looking = true
    const there = await isThere()
    looking = false
    // One that answers strangely is there; callers will tell.
    if (there && failing !== 'strange') heard(undefined)
    else if (!there) heard('away')
  }
  void look()

  return {
    heard,
    isReady: () => answeredTick !== undefined && clock.tickMs() - answeredTick < READY_MS,
    close: () => clearInterval(timer),
  }
}
