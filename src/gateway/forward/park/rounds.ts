import {
  inputRequiredResult,
  toInputRequestParams,
  type InputRequest,
} from '../../../protocol/bridge/input-required.ts'
import type { Offer } from '../../../protocol/client-offer.ts'
import { resultMessage } from '../../../protocol/json-rpc.ts'
import { rawAt } from '../../../protocol/message.ts'
import { need } from '../../exchange.ts'
import { canAsk, capabilityFor } from '../../reply/ask/ask-client.ts'
import type { Caller } from '../caller.ts'
import { requestDigest } from './park-state.ts'
import type { ParkedCall, Parking, Retry } from './parking.ts'
import { decline, type Question } from '../upstream.ts'

/** What the rounds of one call need of it. */
export interface RoundsHost {
  readonly principal: string
  readonly server: string
  /** How long a client may take to come back with answers. */
  readonly answerMs: number
  /** Who waits at the moment; undefined while the call is parked. */
  caller(): Caller | undefined
  /** The client goes to look for answers: its exchange ends here, the call does not. */
  detach(): void
  /** A retry has come: from here on it is who waits. */
  attach(retry: Retry): void
  /** No retry came in time. */
  abandon(): void
}

/** Questions that come together are asked together. */
const TOGETHER_MS = 10
const MAX_ROUNDS = 10

/**
 * The questions of a legacy server to a modern client: collected, given as an `input_required` result, and answered by a
 * retry that may come within the time of the server for it (MCP 2026-07-28, "Multi round-trip requests").
 */
export class Rounds implements ParkedCall {
  readonly principal: string
  readonly server: string
  readonly #host: RoundsHost
  readonly #parking: Parking
  readonly #pending = new Map<string, Question>()
  readonly #digest: string
  /** What the client said last that it can be asked for: each retry says it anew. */
  #offer: Offer
  /** What the server has asked for although the client does not declare it. */
  lacking: Readonly<Record<string, unknown>> | undefined
  #unnamed: Question[] = []
  #round = 0
  #id = ''
  #together: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout | undefined

  constructor(host: RoundsHost, parking: Parking, caller: Caller) {
    this.principal = host.principal
    this.server = host.server
    this.#host = host
    this.#parking = parking
    this.#offer = caller.offer
    this.#digest = requestDigest(need(caller.message, 'message'))
  }

  asked(question: Question, caller: Caller | undefined): void {
    const { method } = question.request
    const params = rawAt(question.request, 'params') ?? '{}'
    if (!canAsk(this.#offer, method, params)) {
      this.lacking = capabilityFor(method, params)
      return decline(question)
    }
    const isFull = this.#id === '' && !this.#parking.hasRoom(this.principal, this.server)
    if (this.#round >= MAX_ROUNDS || isFull) return decline(question)
    this.#unnamed.push(question)
    if (caller !== undefined) this.#parkSoon()
  }

  withdrawn(question: Question): void {
    this.#unnamed = this.#unnamed.filter((one) => one !== question)
    for (const [key, one] of this.#pending) if (one === question) this.#pending.delete(key)
  }

  resume(retry: Retry): boolean {
    if (retry.round !== this.#round || this.#host.caller() !== undefined) return false
    clearTimeout(this.#expiry)
    this.#offer = retry.caller.offer
    this.#host.attach(retry)
    for (const [key, question] of this.#pending) {
      const response = retry.responses.get(key)
      if (response === undefined) continue
      this.#pending.delete(key)
      question.answer(`"result":${response}`)
    }
    // Whatever has no answer yet is asked again, under another key: keys belong to one round.
    this.#unnamed.unshift(...this.#pending.values())
    this.#pending.clear()
    if (this.#unnamed.length > 0) this.#parkSoon()
    return true
  }

  /** The call is over: whoever still waits for an answer gets none. */
  end(): void {
    clearTimeout(this.#together)
    clearTimeout(this.#expiry)
    if (this.#id !== '') this.#parking.remove(this.#id)
    for (const question of [...this.#pending.values(), ...this.#unnamed]) decline(question)
    this.#pending.clear()
    this.#unnamed = []
  }

  #parkSoon(): void {
    this.#together ??= setTimeout(() => {
      this.#together = undefined
      const caller = this.#host.caller()
      if (caller !== undefined && this.#unnamed.length > 0) this.#park(caller)
    }, TOGETHER_MS)
  }

  #park(caller: Caller): void {
    if (++this.#round > MAX_ROUNDS) return this.#declineUnnamed()
    if (this.#id === '') this.#id = this.#parking.add(this)
    const requests = this.#unnamed.map((question, i) => this.#name(question, i))
    this.#unnamed = []
    const state = this.#parking.stateOf({
      id: this.#id,
      round: this.#round,
      principal: this.principal,
      digest: this.#digest,
      forMs: this.#host.answerMs,
    })
    caller.outcome = 'ok'
    caller.outcomeCode = 'input_required'
    const id = need(caller.message?.idText, 'id')
    caller.out.answer(200, [resultMessage(id, inputRequiredResult(requests, state))])
    this.#host.detach()
    this.#expiry = setTimeout(() => {
      this.#parking.expired++
      this.#host.abandon()
    }, this.#host.answerMs).unref()
  }

  #declineUnnamed(): void {
    for (const question of this.#unnamed.splice(0)) decline(question)
  }

  #name(question: Question, i: number): InputRequest {
    const key = `q${this.#round}.${i + 1}`
    this.#pending.set(key, question)
    const params = toInputRequestParams(rawAt(question.request, 'params') ?? '{}')
    return { key, method: question.request.method, params }
  }
}
