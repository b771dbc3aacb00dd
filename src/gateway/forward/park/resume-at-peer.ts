import { need, type Exchange, type OutcomeStatus, type Refusal } from '../../exchange.ts'
import type { Peers } from '../../peers.ts'
import { lost } from './resume-here.ts'

/** What a process is handed by the one that a retry has reached. */
export interface Handed {
  readonly principal: string
  /** The retry, whole. */
  readonly message: string
}

export type PublicRefusal = Pick<Refusal, 'code' | 'hint' | 'problems'>

/** What it says back, a line each; the last one is never an `event`. */
export type Line =
  | { readonly event: string }
  | {
      readonly answer: string
      readonly status: number
      readonly outcome: OutcomeStatus | undefined
      readonly code: string | undefined
    }
  | { readonly refusal: PublicRefusal }
  | { readonly lost: true }

/** The retry of a call that another process has parked: carried there, and what is said there is carried back. */
export function resumeAtPeer(peers: Peers, x: Exchange, node: string): Promise<Refusal | undefined> {
  const handed: Handed = {
    principal: need(x.principal, 'principal').key,
    message: need(x.message, 'message').bytes.toString(),
  }
  return new Promise((resolve) => {
    let over = false
    const conclude = (refusal: Refusal | undefined): void => {
      over = true
      resolve(refusal)
    }
    x.out.mayTakeLong()
    const peer = peers.open(node, 'park', JSON.stringify(handed), {
      line: (text) => hear(x, JSON.parse(text) as Line, conclude),
      end: () => over || conclude(lost(x)),
      gone: () => over || conclude(lost(x)),
    })
    x.out.onGone(() => {
      if (over) return
      peer.abort()
      x.outcome = 'cancelled'
      conclude(undefined)
    })
  })
}

function hear(x: Exchange, line: Line, conclude: (refusal: Refusal | undefined) => void): void {
  if ('event' in line) x.out.event(line.event)
  else if ('lost' in line) conclude(lost(x))
  else if ('refusal' in line) conclude(line.refusal)
  else {
    x.outcome = line.outcome
    x.outcomeCode = line.code
    x.out.answer(line.status, [line.answer])
    conclude(undefined)
  }
}
