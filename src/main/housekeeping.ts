import { forgetAnswers } from '../store/answers.ts'
import type { ControlDb } from '../store/tables.ts'
import type { Job } from './leases/jobs.ts'
import type { PeerNetwork } from './peers/peer-network.ts'

const MINUTE_MS = 60_000

export interface Housekeeping {
  readonly network: PeerNetwork
  readonly control: ControlDb
  readonly nowMs: () => number
}

/** What one daemon does for all of a database from time to time: a line each. */
export const housekeeping = ({ network, control, nowMs }: Housekeeping): readonly Job[] => [
  { name: 'forget-peers', everyMs: MINUTE_MS, run: () => network.forgetGone() },
  { name: 'forget-answers', everyMs: 10 * MINUTE_MS, run: () => forgetAnswers(control, nowMs()) },
]
