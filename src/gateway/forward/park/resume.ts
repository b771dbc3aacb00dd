import { stringAt } from '../../../protocol/message.ts'
import { need, type Exchange, type Refusal } from '../../exchange.ts'
import type { Peers } from '../../peers.ts'
import { resumeAtPeer } from './resume-at-peer.ts'
import { checkState, lost, resumeHere, type ResumeHereDeps } from './resume-here.ts'

export interface ResumeDeps extends ResumeHereDeps {
  readonly peers: Peers
}

/**
 * Goes on with a parked call. `again`: nothing was held, the request is to be made once more. `foreign`: the state was not
 * sealed here, or was changed on the way.
 */
export type Resume = (x: Exchange) => Promise<Refusal | undefined | 'again' | 'foreign'>

export function createResume(deps: ResumeDeps): Resume {
  return async (x) => {
    const message = need(x.message, 'message')
    const text = stringAt(message, 'params/requestState') ?? ''
    if (deps.sealer.open(text) === undefined) return 'foreign'
    const state = checkState(deps, text, { principal: need(x.principal, 'principal').key, message })
    if ('code' in state) return state
    if (state.park === '') return 'again'
    if (deps.peers.self !== '' && state.node !== deps.peers.self)
      return resumeAtPeer(deps.peers, x, state.node)
    const done = await resumeHere(deps.parking, x, state)
    return done === 'lost' ? lost(x) : done
  }
}
