import type { Message } from '../../protocol/message.ts'
import type { ClientPipe } from './client-pipe.ts'
import type { Daemon } from './daemon.ts'
import { exchange, isOutage, type End, type Refusal, type Sink } from './exchange.ts'
import { lostMessage, refusalMessage, refusalNote, unreachableMessage } from './failures.ts'
import type { Lane } from './lane.ts'
import type { OpenRequest } from './open-request.ts'
import { OPENING_PATIENCE_MS, PATIENCE_MS, pause, type Outage } from './outage.ts'

export interface Wire {
  readonly daemon: Daemon
  readonly pipe: ClientPipe
  readonly outage: Outage
  /** Aborted when the bridge ends: nothing is waited for any more. */
  readonly ending: AbortSignal
}

export const POST_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
} as const

/** Of tries whose fate is unknown: something kills the connection each time, and would for ever. */
const MAX_REPEATS = 3
const OPENING = new Set(['initialize', 'server/discover'])

/**
 * Carries a request to the daemon, and what comes back to the client, over breaks of the connection. Each request gets an
 * answer, unless the client has cancelled it. Sent again is only what surely was not processed, or may be twice.
 */
export async function carry(wire: Wire, lane: Lane, request: OpenRequest): Promise<void> {
  await lane.turn()
  let repeats = 0
  for (let tries = 0; !request.isDone; tries++) {
    const end = await send(wire, lane, request)
    if (request.isDone || request.isCancelled) return
    if (end.how === 'unsent' || isClosed(end, request)) {
      if (await outlast(wire, request, tries)) continue
      return await giveUp(wire, request, end)
    }
    if (end.how === 'refused') {
      if (await lane.mend(request, end.refusal)) continue
      return await refuse(wire, request, end.refusal)
    }
    if ((await lane.follow?.(request, end.place)) === true || request.isCancelled) return
    repeats++
    if (!request.isRepeatable || repeats > MAX_REPEATS) return await lose(wire, request)
    if (!(await outlast(wire, request, tries))) return await lose(wire, request)
  }
}

/** 503: nobody has begun with it. Of the other outages nobody knows that. */
const isClosed = (end: End, { isRepeatable }: OpenRequest): boolean =>
  end.how === 'refused' && isOutage(end.refusal) && (end.refusal.status === 503 || isRepeatable)

async function send(wire: Wire, lane: Lane, request: OpenRequest): Promise<End> {
  const end = await exchange(
    wire.daemon,
    {
      method: 'POST',
      headers: { ...POST_HEADERS, ...lane.headers(request), 'content-length': String(request.bytes.length) },
      body: request.bytes,
      signal: request.signal,
      onSent: () => request.wasSent(),
    },
    answerSink(wire, lane, request),
  )
  if (end.how !== 'unsent' && end.how !== 'broken') wire.outage.end()
  return end
}

/** Hands on what comes for a request, from its own stream or from one that goes on with it. */
export const answerSink = ({ pipe, outage }: Wire, lane: Lane, request: OpenRequest): Sink => ({
  head(headers) {
    outage.end()
    lane.taken?.(request, headers)
  },
  message(messages, raw) {
    if (request.signal.aborted) return undefined
    for (const message of messages) take(lane, request, message)
    return pipe.write(raw)
  },
  get isDone() {
    return request.isDone
  },
})

function take(lane: Lane, request: OpenRequest, message: Message): void {
  lane.passing(request, message)
  const isAnswer = message.shape === 'result' || message.shape === 'error'
  if (isAnswer && message.idText !== undefined) request.waiting.delete(message.idText)
}

/** Waits for the daemon to come back; false: long enough. */
async function outlast({ outage, ending }: Wire, request: OpenRequest, tries: number): Promise<boolean> {
  outage.begin()
  const isOpening = OPENING.has(request.first?.method ?? '')
  if (ending.aborted || !outage.mayPassWithin(isOpening ? OPENING_PATIENCE_MS : PATIENCE_MS)) return false
  return await pause(tries, AbortSignal.any([request.signal, ending]))
}

async function giveUp(wire: Wire, request: OpenRequest, end: End): Promise<void> {
  if (request.signal.aborted) return
  if (end.how === 'refused') return await refuse(wire, request, end.refusal)
  const reason = end.how === 'unsent' ? end.reason : 'no daemon answers'
  wire.pipe.note(reason)
  await answerAll(wire, request, (id) => unreachableMessage(id, reason))
}

async function refuse(wire: Wire, request: OpenRequest, refusal: Refusal): Promise<void> {
  if (refusal.status === 401 || refusal.status === 403 || refusal.message === undefined)
    wire.pipe.note(refusalNote(refusal))
  await answerAll(wire, request, (id) => refusalMessage(id, refusal))
}

const lose = (wire: Wire, request: OpenRequest): Promise<void> => answerAll(wire, request, lostMessage)

async function answerAll(
  { pipe }: Wire,
  request: OpenRequest,
  answer: (id: string) => Buffer | string,
): Promise<void> {
  if (request.isCancelled) return
  const ids = [...request.waiting]
  request.waiting.clear()
  for (const id of ids) await pipe.write(answer(id))
}
