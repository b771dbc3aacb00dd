import type { Result } from '../../../lib/result.ts'
import { rawAt, valueAt, type Message } from '../../../protocol/message.ts'
import { OPENER, readDiscoverResult, sharedModern, type Opener } from './handshake.ts'
import type { UpstreamFailure, UpstreamInfo } from '../upstream.ts'

/**
 * Which era a server is of, by what it answered to a modern `server/discover` (MCP 2026-07-28, "Protocol version
 * negotiation"). `again`: it is modern and wants the request put otherwise. `unknown`: nothing can be said at the moment.
 */
export type Judgement =
  | { readonly is: 'modern'; readonly info: UpstreamInfo }
  /** `why`: one public sentence without a full stop. */
  | { readonly is: 'legacy'; readonly why: string }
  | { readonly is: 'again'; readonly opener: Opener }
  | { readonly is: 'unknown'; readonly failure: UpstreamFailure }

export type FinalJudgement = Exclude<Judgement, { readonly is: 'again' }>

export interface ProbeAnswer {
  /** HTTP status; absent on other transports. */
  readonly status: number | undefined
  /** Absent: what came was no MCP message. */
  readonly reply: Message | undefined
}

/** Never keyed on one error code: what is not clearly modern is legacy, and refused credentials and outages say nothing. */
export function judgeProbe({ status = 200, reply }: ProbeAnswer): Judgement {
  const outage = outageOf(status)
  if (outage !== undefined) return { is: 'unknown', failure: outage }
  if (reply === undefined) {
    if (status < 300) return unknown('its answer is not an MCP message')
    return { is: 'legacy', why: `server/discover was answered with HTTP status ${status}` }
  }
  if (reply.shape === 'error') return judgeError(status, reply)
  const info = readDiscoverResult(reply)
  if (info !== undefined) return { is: 'modern', info }
  return { is: 'legacy', why: 'its answer to server/discover names no revision that we share' }
}

/** Timeouts and limits (408, 429) are of the moment, whoever on the way set them. */
function outageOf(status: number): UpstreamFailure | undefined {
  if (status === 401 || status === 403)
    return { kind: 'refused', message: `it refuses our credential (HTTP status ${status})`, status }
  if (status >= 500 || status === 408 || status === 429)
    return { kind: 'unreachable', message: `it answered with HTTP status ${status}`, status }
  if (status >= 300 && status < 400)
    return {
      kind: 'invalid',
      message: `it answered with HTTP status ${status}; spec.url must be the address that it leads to`,
      status,
    }
  return undefined
}

function judgeError(status: number, reply: Message): Judgement {
  const code = rawAt(reply, 'error/code')
  const { message, data } = (valueAt(reply, 'error') ?? {}) as { message?: unknown; data?: ErrorData | null }
  const why = `server/discover was answered with error ${/^-?\d{1,10}$/.test(code ?? '') ? code : 'of no code'}`
  if (code === '-32022' && Array.isArray(data?.supported)) {
    const version = sharedModern(data.supported)
    if (version !== undefined) return { is: 'again', opener: { ...OPENER, version } }
    return { is: 'legacy', why: `${why}, which names no modern revision that we share` }
  }
  if (status !== 400 || typeof message !== 'string') return { is: 'legacy', why }
  if (code === '-32021' && isObject(data?.requiredCapabilities))
    return { is: 'again', opener: { ...OPENER, capabilities: data.requiredCapabilities } }
  if (code === '-32020')
    return unknown('it misses a header of our first request, or found another one (error -32020)')
  return { is: 'legacy', why }
}

interface ErrorData {
  readonly supported?: unknown
  readonly requiredCapabilities?: unknown
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const unknown = (message: string): FinalJudgement => ({
  is: 'unknown',
  failure: { kind: 'invalid', message },
})

/** Asks, and once more if the server wants the request put otherwise. */
export async function probe(
  discover: (opener: Opener) => Promise<Result<ProbeAnswer, UpstreamFailure>>,
): Promise<FinalJudgement> {
  const first = await discover(OPENER)
  if (!first.ok) return { is: 'unknown', failure: first.error }
  const judged = judgeProbe(first.value)
  if (judged.is !== 'again') return judged
  const second = await discover(judged.opener)
  if (!second.ok) return { is: 'unknown', failure: second.error }
  const last = judgeProbe(second.value)
  return last.is === 'again'
    ? unknown('it refuses server/discover, also in the way that it had asked for')
    : last
}
