import type { Exchange } from '../exchange.ts'

/**
 * Who waits for a call, and how answers reach them: the exchange that the call came with, or the one of a retry that took
 * it up again, perhaps at another process.
 */
export type Caller = Pick<
  Exchange,
  'message' | 'era' | 'kind' | 'session' | 'offer' | 'out' | 'outcome' | 'outcomeCode'
>
