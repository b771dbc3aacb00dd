import type { BootEpoch } from '../../../lib/id.ts'
import { downgradeElicitation } from '../../../protocol/bridge/skew.ts'
import type { Offer } from '../../../protocol/client-offer.ts'
import { notificationMessage } from '../../../protocol/json-rpc.ts'
import { members } from '../../../protocol/json-spans.ts'
import { rawAt, spanOf, type Message } from '../../../protocol/message.ts'
import { splice } from '../../../protocol/splice.ts'
import type { Session } from '../../classify/session.ts'

/** What a client is to be asked. */
export interface ClientQuestion {
  readonly method: string
  /** JSON text of the parameters, as this client may see them. */
  readonly params: string
  /** The token in `params._meta` under which whoever asks wants to hear of progress, as JSON text. */
  readonly progressToken?: string | undefined
  /** How long the client may take; absent: 10 minutes. */
  readonly answerMs?: number | undefined
  /** The answer: the member `"result":…` or `"error":…` of the client's response; called at most once. */
  readonly settled: (body: string) => void
  /** Progress that the client reports while it thinks, under the asker's own token. */
  readonly told?: (notification: string) => void
}

/** How a legacy client is reached. */
export interface WayToClient {
  readonly asker: ClientAsker
  readonly session: Session
  /** Writes one message to it. */
  readonly say: (message: string) => void
  /** How long it may take to answer; absent: 10 minutes. */
  readonly answerMs?: number
}

/** Real requests to legacy clients: on the stream of the call that they belong to, or on the session's own. */
export interface ClientAsker {
  /**
   * @param say writes one message to the client
   * @returns takes the question back
   */
  ask(session: Session, question: ClientQuestion, say: (message: string) => void): () => void
  /** A response of a client: true when it answers a question that is open to this very session. */
  answered(session: Session, response: Message): boolean
  /** `notifications/progress` of a client; false when it names no open question. */
  progress(session: Session, notification: Message): boolean
  /** Its questions are answered as by somebody who is not there. */
  sessionEnded(session: Session): void
  /** How many questions wait for a client. */
  readonly open: number
}

interface Open {
  readonly session: Session
  readonly question: ClientQuestion
  readonly timer: NodeJS.Timeout
}

/** People answer these. */
const ANSWER_MS = 600_000
const MAX_OPEN_PER_SESSION = 32

const UNANSWERED = '"error":{"code":-32603,"message":"the client gave no answer"}'

export function createClientAsker(epoch: BootEpoch): ClientAsker {
  const open = new Map<string, Open>()
  let last = 0

  function take(session: Session, id: string | undefined): Open | undefined {
    const found = id === undefined ? undefined : open.get(id)
    if (id === undefined || found?.session !== session) return undefined
    open.delete(id)
    clearTimeout(found.timer)
    return found
  }

  function countOf(session: Session): number {
    let count = 0
    for (const one of open.values()) if (one.session === session) count++
    return count
  }

  return {
    ask(session, question, say) {
      if (countOf(session) >= MAX_OPEN_PER_SESSION) {
        question.settled('"error":{"code":-32603,"message":"too many questions wait for this client"}')
        return () => {}
      }
      const id = `"q${epoch}.${++last}"`
      const takeBack = (reason: string): void => {
        if (take(session, id) === undefined) return
        const requestId: unknown = JSON.parse(id)
        say(notificationMessage('notifications/cancelled', { requestId, reason }))
      }
      const timer = setTimeout(() => {
        takeBack('nobody waits any more')
        question.settled(UNANSWERED)
      }, question.answerMs ?? ANSWER_MS).unref()
      open.set(id, { session, question, timer })
      say(requestText(id, { ...question, params: paramsFor(session, question) }))
      return () => takeBack('the server has taken it back')
    },
    answered(session, response) {
      const found = take(session, response.idText)
      found?.question.settled(bodyOf(response))
      return found !== undefined
    },
    progress(session, notification) {
      const at = spanOf(notification, 'params/progressToken')
      const found = open.get(rawAt(notification, 'params/progressToken') ?? '')
      if (at === undefined || found?.session !== session) return false
      const { progressToken, told } = found.question
      if (progressToken === undefined || told === undefined) return false
      told(splice(notification.bytes, [{ ...at, text: progressToken }]).toString())
      return true
    },
    sessionEnded(session) {
      for (const [id, one] of open) {
        if (one.session === session) take(session, id)?.question.settled(UNANSWERED)
      }
    },
    get open() {
      return open.size
    },
  }
}

/** As the revision of this client has it. */
const paramsFor = ({ protocolVersion }: Session, { method, params }: ClientQuestion): string =>
  method === 'elicitation/create' ? downgradeElicitation(params, protocolVersion) : params

/** The id is the progress token as well: both are unique over all our lives. */
function requestText(id: string, { method, params, progressToken }: ClientQuestion): string {
  const own = progressToken === undefined ? params : withToken(params, id)
  return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${own}}`
}

function withToken(params: string, id: string): string {
  const bytes = Buffer.from(params)
  const meta = members(bytes, { start: 0, end: bytes.length }).get('_meta')
  const token = meta === undefined ? undefined : members(bytes, meta).get('progressToken')
  return token === undefined
    ? params
    : splice(bytes, [{ start: token.start, end: token.end, text: id }]).toString()
}

/** The member of a response that holds its answer, as it was written. */
function bodyOf(response: Message): string {
  const name = response.shape === 'result' ? 'result' : 'error'
  return `"${name}":${rawAt(response, name) ?? 'null'}`
}

/** The capability that a client must declare to be asked this, as `ClientCapabilities` has it. */
export function capabilityFor(method: string, params: string): Readonly<Record<string, unknown>> {
  if (method === 'roots/list') return { roots: {} }
  if (method === 'sampling/createMessage') return { sampling: {} }
  return { elicitation: isUrlMode(params) ? { url: {} } : { form: {} } }
}

const isUrlMode = (params: string): boolean => (JSON.parse(params) as { mode?: unknown }).mode === 'url'

/** Whether this client has said that it can be asked this. */
export function canAsk(offer: Offer, method: string, params: string): boolean {
  if (method === 'roots/list') return offer.roots
  if (method === 'sampling/createMessage') return offer.sampling
  if (method !== 'elicitation/create') return false
  return isUrlMode(params) ? offer.elicitUrl : offer.elicitForm
}
