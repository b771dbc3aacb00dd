import { hasDeclined, inputRequiredResult } from '../../../protocol/bridge/input-required.ts'
import { urlInputRequests } from '../../../protocol/bridge/error.ts'
import { errorMessage, notificationMessage, resultMessage } from '../../../protocol/json-rpc.ts'
import { LATEST_LEGACY } from '../../../protocol/revisions.ts'
import type { Session } from '../../classify/session.ts'
import type { ConnectDesk, ConnectionWanted, ConnectLink } from '../../connections.ts'
import { need, type Exchange, type Refusal } from '../../exchange.ts'
import type { SessionMail } from '../../reply/events/session-stream.ts'
import { toolError, toolText } from '../bridge.ts'
import type { Parking } from '../park/parking.ts'
import { requestDigest } from '../park/park-state.ts'

export interface ConnectingDeps {
  readonly desk: ConnectDesk
  readonly parking: Pick<Parking, 'stateOf'>
  readonly mail: SessionMail
}

/** Leads whoever has no account connected to where they can, in the way that their client knows. */
export interface Connecting {
  /** @param why one public sentence: what is said where there is no page to open */
  readonly answer: (x: Exchange, why: string) => Promise<Refusal | undefined>
  /** The tool that stands for all of a server was called, and there is nothing left to connect. */
  readonly done: (x: Exchange) => undefined
}

/** How long a page is good, and a client is told that it was used. */
const PAGE_MS = 10 * 60_000

export function createConnecting({ desk, parking, mail }: ConnectingDeps): Connecting {
  const waiting = new Set<string>()

  async function answer(x: Exchange, why: string): Promise<Refusal | undefined> {
    const wanted = wantedBy(x)
    const link = wanted === undefined ? undefined : await desk.link(wanted)
    if (wanted === undefined || link === undefined)
      return { code: 'upstream_unreachable', hint: `${serverOf(x)}: ${why}` }
    x.outcome = 'error'
    x.outcomeCode = 'connection_needed'
    if (x.era === 'modern' && x.offer.elicitUrl && mayBeAsked(x)) return askModern(x, link)
    if (x.era === 'legacy' && x.offer.elicitUrl && x.session?.protocolVersion === LATEST_LEGACY)
      return askLegacy(x, x.session, { link, wanted })
    const text = `${messageFor(x)} Ask the user to open ${link.url} and then call it again.`
    if (x.kind !== 'tools/call') return { code: 'connection_needed', hint: text }
    x.out.answer(200, [toolError(x, text).bytes])
    return undefined
  }

  /** It comes back with the same request once its user has been there (MCP 2026-07-28, "Multi round-trip requests"). */
  function askModern(x: Exchange, { url }: ConnectLink): undefined {
    const message = need(x.message, 'message')
    const state = parking.stateOf({
      id: '',
      round: 0,
      principal: need(x.principal, 'principal').key,
      digest: requestDigest(message),
      forMs: PAGE_MS,
    })
    x.outcomeCode = 'input_required'
    const requests = urlInputRequests([{ url, message: messageFor(x) }])
    x.out.answer(200, [resultMessage(need(message.idText, 'id'), inputRequiredResult(requests, state))])
  }

  /** MCP 2025-11-25, "URL Elicitation Required Error" and "Completion Notifications". */
  function askLegacy(
    x: Exchange,
    session: Session,
    { link, wanted }: { readonly link: ConnectLink; readonly wanted: ConnectionWanted },
  ): undefined {
    const { id: elicitationId, url } = link
    const elicitation = { mode: 'url', elicitationId, url, message: messageFor(x) }
    const error = { code: -32042, message: messageFor(x), data: { elicitations: [elicitation] } }
    x.out.answer(200, [errorMessage(need(x.message?.idText, 'id'), error)])
    void tellWhenDone(session, elicitationId, wanted)
  }

  /** Once for each page and session, however often it is called meanwhile. */
  async function tellWhenDone(
    session: Session,
    elicitationId: string,
    wanted: ConnectionWanted,
  ): Promise<void> {
    const key = `${session.id} ${elicitationId}`
    if (waiting.has(key)) return
    waiting.add(key)
    const connected = await desk.connected(wanted, PAGE_MS).catch(() => false)
    waiting.delete(key)
    if (connected)
      mail.send(session, notificationMessage('notifications/elicitation/complete', { elicitationId }))
  }

  return {
    answer,
    done(x) {
      x.outcome = 'ok'
      x.out.answer(200, [
        toolText(x, `An account for ${serverOf(x)} is connected; its tools can be used.`).bytes,
      ])
    },
  }
}

const TAKES_INPUT: ReadonlySet<Exchange['kind']> = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Not in other kinds, and not by somebody who has just said no. */
const mayBeAsked = ({ kind, message }: Exchange): boolean =>
  TAKES_INPUT.has(kind) && !hasDeclined(need(message, 'message'))

const serverOf = (x: Exchange): string => need(x.route, 'route').server.name
const messageFor = (x: Exchange): string =>
  `To use ${serverOf(x)}, the user has to connect an account of theirs.`

function wantedBy(x: Exchange): ConnectionWanted | undefined {
  const { name, holder } = need(x.route, 'route').server
  return holder === undefined ? undefined : { server: name, holder }
}
