import type { Principal } from '../access/principal.ts'
import type { ProjectAccess } from '../access/project-access.ts'
import type { Clock } from '../lib/clock.ts'
import type { Era } from '../protocol/revisions.ts'
import type { Bearer } from './bearer.ts'
import type { ProjectView } from './views.ts'

/** How long what the control plane has said holds, in ms. */
export interface HoldTimes {
  /** That a credential is good, while its watch is up. At most 30,000. */
  readonly positiveMs: number
  /** That one is not. At most 5,000. */
  readonly negativeMs: number
}

export const MAX_POSITIVE_MS = 30_000
export const MAX_NEGATIVE_MS = 5000
/** The longest that a revocation can go unnoticed, whatever happens to the watch. */
const UNWATCHED_MS = 5000
/** Two clocks that differ by more have not both run on: this process, or its host, was stopped for a while. */
const MAX_DRIFT_MS = 1000

/** When something was asked, or heard: monotonic, and on the wall. */
export interface Moment {
  readonly tick: number
  readonly ms: number
}

export const momentOf = ({ tickMs, nowMs }: Clock): Moment => ({ tick: tickMs(), ms: nowMs() })

/** One credential, and what is known of it; of a person's, in one project. */
export interface Caller {
  readonly key: string
  readonly bearer: Bearer
  /** What a person is asked about; a Token has a project of its own. */
  readonly asksAbout: string | undefined
  /** Undefined: nothing was heard yet. */
  standing: 'good' | 'bad' | undefined
  principal: Exclude<Principal, { kind: 'local-admin' | 'subject' }> | undefined
  /** The project that it is about. */
  project: string
  access: ProjectAccess | undefined
  /** By how their clients speak. */
  views: Readonly<Record<Era, ProjectView>> | undefined
  /** Of what `views` show, as the control plane names it. */
  revision: string | undefined
  /** When what is known was asked for. */
  asked: Moment
  /** When the credential ends by itself; monotonic. */
  endsTick: number
  /** When a watch was last heard that has said how things stand. */
  heardTick: number
  watch: { readonly openedTick: number; close(): void } | undefined
  /** No other watch is opened before. */
  watchAgainTick: number
  watchFailures: number
  asking: Promise<void> | undefined
  usedTick: number
  /** Whoever had something open was told that it ended. */
  lapsed: boolean
}

export const NEVER: Moment = { tick: -Infinity, ms: 0 }

export const createCaller = (key: string, bearer: Bearer, asksAbout: string | undefined): Caller => ({
  key,
  bearer,
  asksAbout,
  standing: undefined,
  principal: undefined,
  project: '',
  access: undefined,
  views: undefined,
  revision: undefined,
  asked: NEVER,
  endsTick: Infinity,
  heardTick: -Infinity,
  watch: undefined,
  watchAgainTick: -Infinity,
  watchFailures: 0,
  asking: undefined,
  usedTick: -Infinity,
  lapsed: true,
})

/**
 * Until when what is known of a caller may be acted on: at most 5 s after the last proof, which is an answer, or any
 * sign of life of the watch that would have told of a change; and with a watch, `positiveMs` after the last answer.
 */
export function holdsUntil(caller: Caller, { positiveMs, negativeMs }: HoldTimes): number {
  if (caller.standing === undefined) return -Infinity
  if (caller.standing === 'bad') return caller.asked.tick + negativeMs
  const proof = Math.min(UNWATCHED_MS, positiveMs)
  const watched = Math.min(caller.asked.tick + positiveMs, caller.heardTick + proof)
  return Math.min(caller.endsTick, Math.max(caller.asked.tick + proof, watched))
}

/** More than half of that time is over: whoever calls often is asked about again before they would have to wait. */
export const isHalfOver = (caller: Caller, times: HoldTimes, tick: number): boolean =>
  caller.standing === 'good' && tick > (caller.asked.tick + holdsUntil(caller, times)) / 2

/** A monotonic clock can stand still while the host sleeps: time passed if either clock says so. */
export function holds(caller: Caller, times: HoldTimes, { tickMs, nowMs }: Clock): boolean {
  const tick = tickMs()
  if (tick >= holdsUntil(caller, times)) return false
  return nowMs() - caller.asked.ms - (tick - caller.asked.tick) < MAX_DRIFT_MS
}
