import type { Job } from './leases/jobs.ts'
import type { PeerNetwork } from './peers/peer-network.ts'

const MINUTE_MS = 60_000

/** What one daemon does for all of a database from time to time: a line each. */
export const housekeeping = ({ network }: { readonly network: PeerNetwork }): readonly Job[] => [
  { name: 'forget-peers', everyMs: MINUTE_MS, run: () => network.forgetGone() },
]
