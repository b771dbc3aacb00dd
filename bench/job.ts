import type { Era } from '../src/protocol/revisions.ts'

/** How a connection of the load generator makes its requests. */
export type Manner =
  /** Prepared bytes on a raw socket: the least that a client can cost. */
  | { readonly by: 'plain' }
  /** A call during which the server asks its client once, over whatever the era of the client has for that. */
  | { readonly by: 'asked'; readonly era: Era }
  /** HTTP+SSE of 2024-11-05: a stream that is held open, and POSTs beside it. */
  | { readonly by: 'http+sse' }

/** One measurement, as the parent process asks for it. */
export interface Job {
  readonly manner: Manner
  readonly url: string
  /** One set per connection: each has a session of its own. */
  readonly headers: readonly Readonly<Record<string, string>>[]
  readonly method: string
  /** JSON of `params`. */
  readonly params: string
  readonly connections: number
  readonly measureMs: number
}

export interface Load {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Answers that were not HTTP 200 with a `result`. */
  readonly failed: number
  /** Size of one answer's body. */
  readonly bytes: number
  /** Share of one core that the load generator itself took: near 1 means that it was the bottleneck. */
  readonly busy: number
}

/** What all connections of one job count into. */
export interface Tally {
  /** After this moment nothing is sent, and what comes does not count. */
  readonly end: number
  readonly latencies: number[]
  failed: number
  bytes: number
}

/** Sends requests one after the other until the time of the tally is over. */
export type Drive = (tally: Tally) => Promise<void>

/**
 * Counts one answer.
 * @returns whether there is time for another request
 */
export function count(tally: Tally, sentAt: number, answer: { good: boolean; bytes: number }): boolean {
  const now = performance.now()
  if (now <= tally.end) {
    tally.latencies.push(now - sentAt)
    tally.bytes = answer.bytes
    if (!answer.good) tally.failed += 1
  }
  return now < tally.end
}
