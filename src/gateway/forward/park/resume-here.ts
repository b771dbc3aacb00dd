import type { Clock } from '../../../lib/clock.ts'
import { readInputResponses } from '../../../protocol/bridge/input-required.ts'
import type { Message } from '../../../protocol/message.ts'
import { need, type Refusal } from '../../exchange.ts'
import { toolError } from '../bridge.ts'
import type { Caller } from '../caller.ts'
import { requestDigest, type ParkState, type StateSealer } from './park-state.ts'
import type { Parking } from './parking.ts'

export interface ResumeHereDeps {
  readonly sealer: StateSealer
  readonly parking: Parking
  readonly clock: Clock
}

const invalid = (problem: string, hint: string): Refusal => ({ code: 'invalid', problems: [problem], hint })

const FOREIGN = invalid(
  'params.requestState is not one that was given here for this request',
  'send the request again without it',
)
const EXPIRED = invalid('params.requestState is too old', 'send the request again without it')
const ANSWERED = invalid('params.requestState has been answered before', 'each state can be sent back once')

/** The call is gone with its process, or nobody came back in time: it must not be made again, it may have had effects. */
const LOST_TEXT =
  'The call was lost while it waited for an answer. It may have had effects; look before you call again.'

/** @returns the state, or why it cannot be gone on with: not ours, another's, too old, of another request */
export function checkState(
  { sealer, clock }: Pick<ResumeHereDeps, 'sealer' | 'clock'>,
  text: string,
  from: { readonly principal: string; readonly message: Message },
): ParkState | Refusal {
  const state = sealer.open(text)
  if (state === undefined || state.principal !== from.principal) return FOREIGN
  if (state.expiresMs < clock.nowMs()) return EXPIRED
  return state.digest === requestDigest(from.message) ? state : FOREIGN
}

/** Resolves once the exchange of the retry has its answer. */
export function resumeHere(
  parking: Parking,
  caller: Caller,
  state: ParkState,
): Promise<Refusal | undefined | 'lost'> {
  const call = parking.find(state.park)
  if (call === undefined || call.principal !== state.principal) return Promise.resolve('lost')
  return new Promise((resolve) => {
    const resumed = call.resume({
      caller,
      round: state.round,
      responses: readInputResponses(need(caller.message, 'message')),
      conclude: resolve,
    })
    if (!resumed) resolve(ANSWERED)
  })
}

/** Models read the text of a tool's failure; for everything else there are only errors. */
export function lost(x: Caller): Refusal | undefined {
  x.outcome = 'lost'
  if (x.kind !== 'tools/call') return { code: 'upstream_unreachable', hint: LOST_TEXT }
  const answer = toolError(x, LOST_TEXT)
  x.out.answer(answer.status, [answer.bytes])
  return undefined
}
