import type { Result } from '../../../lib/result.ts'
import type { ServerView } from '../../snapshot.ts'
import type { UpstreamFailure, UpstreamInfo } from '../upstream.ts'

/** How a server is to be spoken to, and how that was found out. */
export type Verdict = {
  /** For people, after the revision in use: `by initialize: server/discover was answered with error -32601`. */
  readonly how: string
} & (
  | {
      readonly speaks: 'modern'
      /** What it said of itself when it was asked; absent where the connection will ask. */
      readonly info: UpstreamInfo | undefined
    }
  | {
      /** `sse`: legacy over HTTP+SSE. */
      readonly speaks: 'legacy' | 'sse'
      /** It did not say no: it may be modern and was only slow. */
      readonly mayBeModern: boolean
    }
)

export interface Detection {
  readonly how: string
  /** Wall clock, ms. */
  readonly atMs: number
}

/** What was found out about each server, so that it is asked once and not for each connection. */
export interface Verdicts {
  /** The verdict that holds, or that of `judge`, which runs once however many wait for it. */
  of(
    server: ServerView,
    judge: () => Promise<Result<Verdict, UpstreamFailure>>,
  ): Promise<Result<Verdict, UpstreamFailure>>
  set(server: ServerView, verdict: Verdict): void
  /** It failed: whoever connects next asks again. */
  drop(server: ServerView): void
  detection(server: ServerView): Detection | undefined
}

/**
 * A legacy verdict may be outlived by an upgrade of the server, which would go on to answer `initialize`. A modern one
 * that no longer holds fails at the next request.
 */
const LEGACY_VERDICT_MS = 24 * 3600 * 1000
/** Fingerprints of servers as they were once are of no use; the oldest go. */
const MAX_KEPT = 10_000

interface Kept {
  readonly verdict: Verdict
  readonly atMs: number
  readonly untilMs: number
}

export function createVerdicts(clock: { nowMs(): number; tickMs(): number }): Verdicts {
  const kept = new Map<string, Kept>()
  const asking = new Map<string, Promise<Result<Verdict, UpstreamFailure>>>()

  function set(server: ServerView, verdict: Verdict): void {
    kept.delete(server.fingerprint)
    const [oldest] = kept.keys()
    if (kept.size >= MAX_KEPT && oldest !== undefined) kept.delete(oldest)
    kept.set(server.fingerprint, {
      verdict,
      atMs: clock.nowMs(),
      untilMs: verdict.speaks === 'modern' ? Infinity : clock.tickMs() + LEGACY_VERDICT_MS,
    })
  }

  async function ask(
    server: ServerView,
    judge: () => Promise<Result<Verdict, UpstreamFailure>>,
  ): Promise<Result<Verdict, UpstreamFailure>> {
    try {
      const verdict = await judge()
      if (verdict.ok) set(server, verdict.value)
      return verdict
    } finally {
      asking.delete(server.fingerprint)
    }
  }

  return {
    of(server, judge) {
      const found = kept.get(server.fingerprint)
      if (found !== undefined && found.untilMs > clock.tickMs())
        return Promise.resolve({ ok: true, value: found.verdict })
      const asked = asking.get(server.fingerprint) ?? ask(server, judge)
      asking.set(server.fingerprint, asked)
      return asked
    },
    set,
    drop: (server) => void kept.delete(server.fingerprint),
    detection(server) {
      const found = kept.get(server.fingerprint)
      return found === undefined ? undefined : { how: found.verdict.how, atMs: found.atMs }
    },
  }
}
