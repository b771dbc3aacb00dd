import { readUrlElicitations, urlInputRequests, type UrlElicitation } from '../../protocol/bridge/error.ts'
import { inputRequiredResult, readInputRequired, retryEdit } from '../../protocol/bridge/input-required.ts'
import { resultMessage } from '../../protocol/json-rpc.ts'
import { rawAt, valueAt, type Message } from '../../protocol/message.ts'
import type { Edit } from '../../protocol/splice.ts'
import type { Session } from '../classify/session.ts'
import { need, type Exchange, type Refusal, type Route } from '../exchange.ts'
import { canAsk, type ClientAsker, type WayToClient } from '../reply/ask/ask-client.ts'
import { askQuestion } from '../reply/ask/ask-question.ts'
import { upstreamRefusal } from '../route/route.ts'
import type { TaskHandles } from '../route/task-handles.ts'
import { askRound } from './ask-round.ts'
import { answerFor, eventFor, isNotFound, toolError, upstreamRequest, type Answer } from './bridge.ts'
import { openCall } from './calls-in-flight.ts'
import type { Caller } from './caller.ts'
import { exposedReply, isExposed } from './exposed-reply.ts'
import { requestDigest } from './park/park-state.ts'
import type { Parking, Retry } from './park/parking.ts'
import { isHeaderMismatch } from './outgoing-params.ts'
import type { Lease } from './pool.ts'
import { Rounds, type RoundsHost } from './park/rounds.ts'
import { sendAsTask } from './task-call.ts'
import { decline, type Question, type Sink, type UpstreamCall, type UpstreamFailure } from './upstream.ts'

export interface CallDeps {
  /** Puts what the server's list now says of the tool into the route. */
  readonly readListAgain: (x: Exchange) => Promise<void>
  readonly asker: ClientAsker
  readonly parking: Parking
  readonly tasks: TaskHandles
}

/** The server does not know the resource. Told by identity from a refusal that says the same of the last one asked. */
export const ASK_NEXT: Refusal = { code: 'resource_not_found' }

/** As the official SDKs have it. */
const MAX_SHIM_ROUNDS = 8
const STATE_ONLY_PAUSE_MS = 250

type Conclude = Retry['conclude']

/**
 * One call at a server, from sending to its answer, whoever of its client's exchanges waits for it. A legacy client is
 * asked on the stream of its call; a modern one gets the questions as its answer and comes back (`Rounds`).
 */
export class ForwardedCall implements Sink, RoundsHost {
  readonly mayBeAsked: boolean
  readonly principal: string
  readonly server: string
  readonly answerMs: number
  readonly #deps: CallDeps
  readonly #x: Exchange
  readonly #route: Route
  readonly #lease: Lease
  #caller: Caller | undefined
  #conclude: Conclude
  /** Gives on the turn, where calls take turns. */
  #ended: (() => void) | undefined
  #finish: (() => void) | undefined
  #call: UpstreamCall | undefined
  #over = false
  #rounds: Rounds | undefined
  /** Questions that a legacy client has on its stream, each with how to take it back. */
  #asked: Map<Question, () => void> | undefined
  #takeBackRound: (() => void) | undefined
  #paused = false
  #shimRounds = 0
  /** What the request of the present round has besides the client's. */
  #more: readonly Edit[] = []
  #hasFreshHeaders = false
  #progress = -Infinity
  /** What came while nobody waited. */
  #kept: Message | UpstreamFailure | undefined

  constructor(
    deps: CallDeps,
    about: { readonly x: Exchange; readonly route: Route; readonly lease: Lease },
    conclude: Conclude,
    ended: (() => void) | undefined,
  ) {
    this.#deps = deps
    this.#x = about.x
    this.#route = about.route
    this.#lease = about.lease
    this.#caller = about.x
    this.#conclude = conclude
    this.#ended = ended
    this.mayBeAsked = mayBeAsked(about.x)
    this.principal = about.x.principal?.key ?? ''
    this.server = about.route.server.name
    this.answerMs = about.route.server.spec.timeouts.answerSeconds * 1000
  }

  start(): void {
    const x = this.#x
    this.#finish = openCall(x.session, need(x.message?.idText, 'id'), () => this.#takenBack(x))
    x.out.mayTakeLong()
    this.#send([])
    this.#watch(x)
  }

  caller(): Caller | undefined {
    return this.#caller
  }

  event(message: Message): void {
    const caller = this.#caller
    if (caller !== undefined && !this.#over) this.#contain(() => this.#passOn(caller, message))
  }

  #passOn(caller: Caller, message: Message): void {
    if (this.#shimRounds > 0 && this.#repeats(message)) return
    const bytes = eventFor(caller, message)
    if (bytes !== undefined && !caller.out.event(bytes)) this.#holdBack(caller)
  }

  asked(question: Question): void {
    if (this.#over) return decline(question)
    this.#contain(() => this.#ask(question))
  }

  #ask(question: Question): void {
    const caller = this.#caller
    if (caller?.era === 'legacy') return this.#askLegacy(caller, question)
    if (this.#rounds === undefined) {
      if (caller === undefined) return decline(question)
      this.#rounds = new Rounds(this, this.#deps.parking, caller)
    }
    this.#rounds.asked(question, caller)
  }

  withdrawn(question: Question): void {
    this.#rounds?.withdrawn(question)
    this.#asked?.get(question)?.()
    this.#asked?.delete(question)
  }

  reply(message: Message): void {
    this.#lease.heard(undefined)
    this.#contain(() => this.#replied(message))
  }

  #replied(message: Message): void {
    const caller = this.#caller
    const broken = (thrown: unknown): void => this.#broken(thrown)
    if (caller === undefined) this.#kept = message
    else if (this.#asksForInput(caller, message)) this.#shim(caller, message).catch(broken)
    else if (this.#readByAnotherList(message)) this.#sendAgain().catch(broken)
    else this.#answer(caller, message)
  }

  failed(failure: UpstreamFailure): void {
    if (failure.kind === 'unreachable' || failure.kind === 'refused') this.#lease.heard(failure)
    const caller = this.#caller
    if (caller === undefined) {
      this.#kept = failure
      return
    }
    caller.outcome = failure.kind === 'refused' || failure.kind === 'session-lost' ? 'error' : 'lost'
    this.#end(upstreamRefusal(this.#route.server.name, failure))
  }

  detach(): void {
    this.#caller = undefined
    const conclude = this.#conclude
    this.#finish?.()
    this.#conclude = () => {}
    conclude(undefined)
  }

  attach(retry: Retry): void {
    this.#caller = retry.caller
    this.#conclude = retry.conclude
    retry.caller.out.mayTakeLong()
    this.#watch(retry.caller)
    const kept = this.#kept
    this.#kept = undefined
    if (kept === undefined) return
    if ('kind' in kept) this.failed(kept)
    else this.reply(kept)
  }

  abandon(): void {
    this.#call?.cancel()
    this.#end(undefined)
  }

  /** The client does not keep up: the server waits for it, where it can be made to. */
  #holdBack({ out }: Caller): void {
    const call = this.#call
    if (call?.pause === undefined || this.#paused) return
    this.#paused = true
    call.pause()
    out.onDrain(() => {
      this.#paused = false
      call.resume?.()
    })
  }

  /** -32020: what it wants in headers is not what its list said when we had it; told once, that is mended here. */
  #readByAnotherList(message: Message): boolean {
    return !this.#hasFreshHeaders && isHeaderMismatch(this.#x, message)
  }

  async #sendAgain(): Promise<void> {
    this.#hasFreshHeaders = true
    await this.#deps.readListAgain(this.#x)
    if (!this.#over) this.#send(this.#more)
  }

  #send(more: readonly Edit[]): void {
    this.#more = more
    const request = upstreamRequest(this.#x, this.#lease, this.#hasFreshHeaders)
    const { upstream } = this.#lease
    const whole = more.length === 0 ? request : { ...request, edits: [...request.edits, ...more] }
    const asTask = this.#route.asTask && this.#lease.info.era === 'legacy'
    this.#call = asTask ? sendAsTask(upstream, whole, this) : upstream.send(whole, this)
  }

  /** For modern clients a closed connection is the cancellation; for legacy ones it is not (MCP, cancellation). */
  #watch(caller: Caller): void {
    if (caller.era === 'modern') caller.out.onGone(() => this.#gone(caller))
  }

  #gone(caller: Caller): void {
    if (this.#over || this.#caller !== caller) return
    this.#call?.cancel()
    caller.outcome = 'cancelled'
    this.#end(undefined)
  }

  #takenBack(x: Exchange): void {
    if (this.#over) return
    this.#call?.cancel()
    x.outcome = 'cancelled'
    this.#takeBackQuestions()
    // Nobody waits for an answer to what was cancelled, but the connection must not stay open for it.
    x.out.cancelled()
    this.#end(undefined)
  }

  #answer(caller: Caller, message: Message): void {
    if (this.#over) return
    if (this.#route.others.length > 0 && message.shape === 'error' && isNotFound(message))
      return this.#end(ASK_NEXT)
    const lacking = this.#rounds?.lacking
    if (lacking !== undefined && isFailure(message))
      return this.#end({ code: 'capability_missing', data: { requiredCapabilities: lacking } })
    const pages = this.#pagesToOpen(caller, message)
    if (pages.length > 0) return this.#askToOpen(caller, pages)
    const answer = answerFor(caller, this.#lease, this.#exposed(message))
    if (!('bytes' in answer)) {
      this.#end({ ...answer, hint: `${this.#route.server.name}: ${answer.hint ?? ''}` })
      return
    }
    caller.outcome = answer.outcome
    caller.outcomeCode = answer.code
    this.#give(caller, answer)
  }

  /** A legacy server wants pages opened before it takes the call; nothing runs there meanwhile. */
  #pagesToOpen(caller: Caller, message: Message): readonly UrlElicitation[] {
    const toldToOpen = message.shape === 'error' && rawAt(message, 'error/code') === '-32042'
    const canOpen = caller.era === 'modern' && caller.offer.elicitUrl && this.mayBeAsked
    return toldToOpen && canOpen ? readUrlElicitations(message) : []
  }

  #askToOpen(caller: Caller, pages: readonly UrlElicitation[]): void {
    const message = need(caller.message, 'message')
    const state = this.#deps.parking.stateOf({
      id: '',
      round: 0,
      principal: this.principal,
      digest: requestDigest(message),
      forMs: this.answerMs,
    })
    caller.outcome = 'ok'
    caller.outcomeCode = 'input_required'
    const result = inputRequiredResult(urlInputRequests(pages), state)
    caller.out.answer(200, [resultMessage(need(message.idText, 'id'), result)])
    this.#end(undefined)
  }

  #exposed(message: Message): Message {
    if (!isExposed(this.#x)) return message
    return exposedReply(this.#x, { route: this.#route, tasks: this.#deps.tasks }, message)
  }

  #give(caller: Caller, answer: Answer): void {
    this.#takeBackQuestions()
    caller.out.answer(answer.status, [answer.bytes])
    this.#end(undefined)
  }

  #askLegacy(caller: Caller, question: Question): void {
    const { session } = caller
    // Without a session there is no way for an answer to come back.
    if (session === undefined) return decline(question)
    const takeBack = askQuestion(this.#wayTo(caller, session), question)
    if (takeBack !== undefined) (this.#asked ??= new Map()).set(question, takeBack)
  }

  #wayTo(caller: Caller, session: Session): WayToClient {
    const say = (text: string): void => void caller.out.event(text)
    return { asker: this.#deps.asker, session, say, answerMs: this.answerMs }
  }

  #asksForInput(caller: Caller, message: Message): boolean {
    return (
      caller.era === 'legacy' &&
      this.#lease.info.era === 'modern' &&
      rawAt(message, 'result/resultType') === '"input_required"'
    )
  }

  /** A legacy client of a modern server: asked for real, and the request is made again with what it says. */
  async #shim(caller: Caller, message: Message): Promise<void> {
    const { session } = caller
    const round = readInputRequired(message)
    const asksTooMuch = round?.requests.some(({ method, params }) => !canAsk(caller.offer, method, params))
    if (round === undefined || session === undefined || asksTooMuch === true) {
      const hint = `${this.#route.server.name}: it asks for something that this client cannot give`
      return this.#end({ code: 'upstream_invalid', hint })
    }
    if (++this.#shimRounds > MAX_SHIM_ROUNDS) return this.#giveUp(caller, 'it asked too many times')
    let answers: ReadonlyMap<string, string> = new Map()
    if (round.requests.length === 0) await pause(STATE_ONLY_PAUSE_MS)
    else {
      const asked = askRound(this.#wayTo(caller, session), round.requests)
      this.#takeBackRound = asked.takeBack
      const given = await asked.answers
      if (this.#over) return
      if (given === 'refused') return this.#giveUp(caller, 'the client gave no answer to what it asked')
      answers = given
    }
    this.#takeBackRound = undefined
    const edit = retryEdit(need(caller.message, 'message'), answers, round.state)
    if (!this.#over) this.#send(edit === undefined ? [] : [edit])
  }

  #giveUp(caller: Caller, why: string): void {
    if (caller.kind !== 'tools/call')
      return this.#end({ code: 'upstream_invalid', hint: `${this.#route.server.name}: ${why}` })
    const text = `${this.#route.server.name} could not finish: ${why}.`
    this.#give(caller, toolError(caller, text))
    caller.outcome = 'tool-error'
  }

  /** Progress must grow (MCP, progress), also over the rounds that the client does not see. */
  #repeats(message: Message): boolean {
    if (message.method !== 'notifications/progress') return false
    const { progress } = (valueAt(message, 'params') ?? {}) as { progress?: unknown }
    if (typeof progress !== 'number') return false
    if (progress <= this.#progress) return true
    this.#progress = progress
    return false
  }

  /** What a server says runs inside the connection that heard it, which others share: a bug here ends this call only. */
  #contain(work: () => void): void {
    try {
      work()
    } catch (thrown) {
      this.#broken(thrown)
    }
  }

  #broken(thrown: unknown): void {
    if (this.#over) return
    this.#call?.cancel()
    // Thrown at whoever waits, as if the step had thrown it: the pipeline logs it and answers.
    this.#end(this.#caller === undefined ? undefined : Promise.reject(thrown))
  }

  #end(refusal: Parameters<Conclude>[0]): void {
    if (this.#over) return
    this.#over = true
    this.#finish?.()
    this.#rounds?.end()
    this.#takeBackQuestions()
    this.#conclude(refusal)
    this.#ended?.()
  }

  /** On the stream of the call, so before it ends. Harmless for what has been answered. */
  #takeBackQuestions(): void {
    this.#takeBackRound?.()
    for (const [question, takeBack] of this.#asked ?? []) {
      takeBack()
      decline(question)
    }
    this.#asked = undefined
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })

/** It did not go on without what it was denied. */
const isFailure = (message: Message): boolean =>
  message.shape === 'error' || rawAt(message, 'result/isError') === 'true'

/** Only these may ask their client something (MCP 2026-07-28, "Multi round-trip requests"). */
export const mayBeAsked = (x: Exchange): boolean =>
  (x.kind === 'tools/call' || x.kind === 'prompts/get' || x.kind === 'resources/read') &&
  (x.offer.elicitForm || x.offer.elicitUrl || x.offer.sampling || x.offer.roots)
