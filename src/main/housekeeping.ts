import { forgetAnswers } from '../store/answers.ts'
import { forgetAttempts } from '../store/sign-in-attempts.ts'
import type { ControlDb, StateDb } from '../store/tables.ts'
import type { Job } from './leases/jobs.ts'
import type { PeerNetwork } from './peers/peer-network.ts'

const MINUTE_MS = 60_000

export interface Housekeeping {
  readonly network: PeerNetwork
  readonly control: ControlDb
  readonly state: StateDb
  readonly nowMs: () => number
  /** Ends sign-ins whose time is over. */
  readonly endExpiredSignIns: () => Promise<unknown>
  /** Ends what identity providers have issued to those who are not signed in any more. */
  readonly endKeptSignIns: () => Promise<void>
}

/** What one daemon does for all of a database from time to time: a line each. */
export const housekeeping = ({
  network,
  control,
  state,
  nowMs,
  endExpiredSignIns,
  endKeptSignIns,
}: Housekeeping): readonly Job[] => [
  { name: 'forget-peers', everyMs: MINUTE_MS, run: () => network.forgetGone() },
  { name: 'end-sign-ins', everyMs: MINUTE_MS, run: endExpiredSignIns },
  { name: 'end-kept-sign-ins', everyMs: 10 * MINUTE_MS, run: endKeptSignIns },
  { name: 'forget-answers', everyMs: 10 * MINUTE_MS, run: () => forgetAnswers(control, nowMs()) },
  { name: 'forget-sign-in-attempts', everyMs: MINUTE_MS, run: () => forgetAttempts(state, nowMs()) },
]
