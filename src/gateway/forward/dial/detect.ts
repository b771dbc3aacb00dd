import { err, ok, type Result } from '../../../lib/result.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import type { InstanceSpec, Runtime } from '../../../runtime/runtime.ts'
import { discoverRequest } from './handshake.ts'
import { probeHttp } from './http-probe.ts'
import type { HttpTarget } from '../http/http-target.ts'
import { probe, type FinalJudgement } from './judge-probe.ts'
import { StdioPipe } from '../stdio/stdio-pipe.ts'
import { decline, type UpstreamFailure } from '../upstream.ts'
import type { Verdict } from './verdicts.ts'
import type { WireIds } from '../wire-id.ts'

/** What `spec.protocol` says. */
export type Pinned = 'auto' | 'legacy' | 'modern'

export interface Asker {
  readonly us: Implementation
  readonly ids: WireIds
}

/** How long a process may be silent after the probe before it is taken for one that does not know it. */
const PROBE_PATIENCE_MS = 5000

const BY_DISCOVER = 'by server/discover'
const PINNED_LEGACY: Verdict = {
  speaks: 'legacy',
  mayBeModern: false,
  how: 'by initialize: spec.protocol is legacy',
}

export async function detectHttp(
  target: HttpTarget,
  pinned: Pinned,
  { us, ids }: Asker,
): Promise<Result<Verdict, UpstreamFailure>> {
  if (pinned === 'legacy') return ok(PINNED_LEGACY)
  const judged = await probeHttp(target, us, ids)
  if (judged.is === 'unknown') return err(judged.failure)
  if (judged.is === 'modern') return ok({ speaks: 'modern', info: judged.info, how: BY_DISCOVER })
  if (pinned === 'modern')
    return err({ kind: 'invalid', message: `spec.protocol is modern, but ${judged.why}` })
  return ok({ speaks: 'legacy', mayBeModern: false, how: `by initialize: ${judged.why}` })
}

export interface StdioDetection extends Asker {
  readonly runtime: Runtime
  readonly spec: InstanceSpec
  readonly connectTimeoutMs: number
}

/**
 * Asks a disposable copy of the process, stopped before the one that is to serve is started: some servers end at a first
 * request that they do not know, and some never say another word.
 */
export async function detectStdio(about: StdioDetection, pinned: Pinned): Promise<Verdict> {
  if (pinned === 'legacy') return PINNED_LEGACY
  if (pinned === 'modern')
    return { speaks: 'modern', info: undefined, how: `${BY_DISCOVER}: spec.protocol is modern` }
  const patienceMs = Math.min(PROBE_PATIENCE_MS, about.connectTimeoutMs / 2)
  const pipe = new StdioPipe({ notified() {}, asked: decline, withdrawn() {}, ended() {} }, false)
  try {
    await pipe.start(about.runtime, { ...about.spec, key: `${about.spec.key}-probe` })
    const judged = await probePipe(pipe, patienceMs, about)
    if (judged.is === 'modern') return { speaks: 'modern', info: undefined, how: BY_DISCOVER }
    const why = judged.is === 'legacy' ? judged.why : unsaid(judged.failure, patienceMs)
    return { speaks: 'legacy', mayBeModern: judged.is !== 'legacy', how: `by initialize: ${why}` }
  } finally {
    await pipe.stop()
  }
}

const probePipe = (pipe: StdioPipe, patienceMs: number, { us, ids }: Asker): Promise<FinalJudgement> =>
  probe(async (opener) => {
    const id = ids.next()
    const answer = await pipe.ask(id, discoverRequest(id, us, opener), patienceMs)
    return answer.ok ? ok({ status: undefined, reply: answer.value }) : answer
  })

const unsaid = ({ kind, message }: UpstreamFailure, patienceMs: number): string =>
  kind === 'timeout'
    ? `it did not answer server/discover within ${patienceMs / 1000} s`
    : `asked for server/discover, ${message}`
