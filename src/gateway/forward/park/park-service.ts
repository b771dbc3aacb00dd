import { readOffer } from '../../../protocol/client-offer.ts'
import { rawAt, readMessage, stringAt, type Message } from '../../../protocol/message.ts'
import type { Kind, Refusal } from '../../exchange.ts'
import type { PeerReply } from '../../peers.ts'
import type { Outlet } from '../../reply/outlet.ts'
import type { Caller } from '../caller.ts'
import type { Handed, Line, PublicRefusal } from './resume-at-peer.ts'
import { checkState, resumeHere, type ResumeHereDeps } from './resume-here.ts'

/** What this process does for a retry that has reached another one. */
export function createParkService(deps: ResumeHereDeps): (body: string, reply: PeerReply) => void {
  return (body, reply) => {
    const finish = (line: Line | undefined): void => {
      if (line !== undefined) reply.line(JSON.stringify(line))
      reply.end()
    }
    const { principal, message: text } = JSON.parse(body) as Handed
    const read = readMessage(Buffer.from(text), 'client')
    if (!read.ok) return finish({ refusal: { code: 'not_jsonrpc' } })
    const message = read.value
    const state = checkState(deps, stringAt(message, 'params/requestState') ?? '', { principal, message })
    if ('code' in state) return finish({ refusal: publicPart(state) })
    void resumeHere(deps.parking, createCaller(message, reply), state).then(lineOf).then(finish)
  }
}

const lineOf = (refusal: Refusal | undefined | 'lost'): Line | undefined => {
  if (refusal === 'lost') return { lost: true }
  return refusal === undefined ? undefined : { refusal: publicPart(refusal) }
}

const publicPart = ({ code, hint, problems }: Refusal): PublicRefusal => ({
  code,
  ...(hint === undefined ? {} : { hint }),
  ...(problems === undefined ? {} : { problems }),
})

/** The client as seen from here: what it is told goes through the other process. */
function createCaller(message: Message, reply: PeerReply): Caller {
  const capabilities = rawAt(message, 'params/_meta/io.modelcontextprotocol.clientCapabilities')
  const caller: Caller = {
    message,
    era: 'modern',
    kind: message.method as Kind,
    session: undefined,
    offer: readOffer(capabilities ?? '{}'),
    outcome: undefined,
    outcomeCode: undefined,
    out: createPeerOutlet(reply, () => ({ outcome: caller.outcome, code: caller.outcomeCode })),
  }
  return caller
}

function createPeerOutlet(
  reply: PeerReply,
  ended: () => Pick<Extract<Line, { answer: string }>, 'outcome' | 'code'>,
): Outlet {
  let gone = false
  const listeners: (() => void)[] = []
  reply.onAbort(() => {
    gone = true
    for (const listener of listeners) listener()
  })
  const say = (line: Line): void => reply.line(JSON.stringify(line))
  return {
    get gone() {
      return gone
    },
    streaming: false,
    // The record and the stream are the other process's.
    after() {},
    resumable() {},
    mayTakeLong() {},
    empty() {},
    cancelled() {},
    event(message) {
      say({ event: message.toString() })
      return true
    },
    onDrain: (listener) => listener(),
    answer: (status, parts) => say({ answer: parts.join(''), status, ...ended() }),
    onGone(listener) {
      if (gone) listener()
      else listeners.push(listener)
    },
  }
}
