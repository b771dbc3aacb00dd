import type { Sessions } from './classify/sessions.ts'
import type { Parking } from './forward/park/parking.ts'
import type { Pool } from './forward/pool.ts'
import type { Announcer } from './reply/listen/announce.ts'
import type { ClientAsker } from './reply/ask/ask-client.ts'

/** How many things are open that somebody else may never close: each is bounded, and each is a metric. */
export interface OpenThings {
  /** Legacy sessions in memory. */
  readonly sessions: number
  /** Connections to Servers, processes included. */
  readonly connections: number
  /** Calls whose modern client looks for answers. */
  readonly parkedCalls: number
  /** Since the start: parked calls that nobody came back to. */
  readonly expiredCalls: number
  /** Questions of Servers that a legacy client has not answered yet. */
  readonly openQuestions: number
  /** `subscriptions/listen` streams of modern clients. */
  readonly listens: number
}

export const createOpenThings =
  (parts: {
    readonly sessions: Sessions
    readonly pool: Pool
    readonly parking: Parking
    readonly asker: ClientAsker
    readonly announcer: Announcer
  }): (() => OpenThings) =>
  () => ({
    sessions: parts.sessions.size,
    connections: parts.pool.size,
    parkedCalls: parts.parking.size,
    expiredCalls: parts.parking.expired,
    openQuestions: parts.asker.open,
    listens: parts.announcer.listening,
  })
