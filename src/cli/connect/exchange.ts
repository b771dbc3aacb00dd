import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { readServerBatch } from '../../protocol/batch.ts'
import { rawAt, readMessage, type Message } from '../../protocol/message.ts'
import { createSseParser, type SseParser } from '../../protocol/sse.ts'
import { Unsent, type Daemon, type WireRequest } from './daemon.ts'

/** Where a stream can be gone on with, if it said so (MCP 2025-11-25, "Resumability and Redelivery"). */
export interface Place {
  readonly lastEventId: string | undefined
  readonly retryMs: number | undefined
}

/** The daemon has not taken it: its status, and its reason as far as that is a JSON-RPC error. */
export interface Refusal {
  readonly status: number
  /** The body, when it is a JSON-RPC error. */
  readonly message: Message | undefined
  /** `error.data.code`: which refusal of ours it is. */
  readonly code: string | undefined
}

/** What proxies say of a daemon that is not there; it may have been there for a part of the request. */
export const isOutage = ({ status, message }: Refusal): boolean =>
  status === 503 || ((status === 502 || status === 504) && message === undefined)

/** How an exchange came to its end. `broken`: the connection was lost, and nobody knows what became of the request. */
export type End =
  | { readonly how: 'unsent'; readonly reason: string }
  | { readonly how: 'refused'; readonly refusal: Refusal }
  | { readonly how: 'broken' | 'ended'; readonly place: Place }

export interface Sink {
  /** The daemon has taken it. */
  head?(headers: IncomingHttpHeaders): void
  /**
   * @param raw the line as it goes to the client: the message, or the batch that it is one of
   * @returns what to wait for before the next
   */
  message(messages: readonly Message[], raw: Buffer): Promise<void> | undefined
  /** Nothing more of it is wanted. */
  readonly isDone: boolean
}

/** Of one message, in either direction. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const MAX_REFUSAL_BYTES = 1024 * 1024
const NOWHERE: Place = { lastEventId: undefined, retryMs: undefined }
/** The daemon says something on each stream every 15 s. */
const SILENCE_MS = 90_000

/** One request and its answer, be it JSON or a stream. Never rejects. */
export async function exchange(daemon: Daemon, request: WireRequest, sink: Sink): Promise<End> {
  let answer: IncomingMessage
  try {
    answer = await daemon.open(request)
  } catch (error) {
    return error instanceof Unsent
      ? { how: 'unsent', reason: error.message }
      : { how: 'broken', place: NOWHERE }
  }
  const status = answer.statusCode ?? 0
  if (status < 200 || status > 299) return { how: 'refused', refusal: await readRefusal(answer, status) }
  sink.head?.(answer.headers)
  const isStream = answer.headers['content-type']?.startsWith('text/event-stream') === true
  return isStream ? await readStream(answer, sink) : await readWhole(answer, sink)
}

async function readWhole(answer: IncomingMessage, sink: Sink): Promise<End> {
  try {
    const body = await readBody(answer, MAX_MESSAGE_BYTES)
    if (body !== undefined && body.length > 0) await handOn(body, sink)
    return { how: 'ended', place: NOWHERE }
  } catch {
    return { how: 'broken', place: NOWHERE }
  }
}

async function readStream(answer: IncomingMessage, sink: Sink): Promise<End> {
  const due: Buffer[] = []
  const parser = createSseParser(MAX_MESSAGE_BYTES, ({ data }) => {
    // An event without data only tells an id.
    if (data.length > 0) due.push(data)
  })
  let waitsForClient = false
  answer.setTimeout(SILENCE_MS, () => waitsForClient || answer.destroy(new Error('the stream went silent')))
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      const fits = parser.feed(chunk)
      waitsForClient = true
      for (const data of due.splice(0)) await handOn(data, sink)
      waitsForClient = false
      if (!fits || sink.isDone) break
    }
    return { how: 'ended', place: placeOf(parser) }
  } catch {
    return { how: 'broken', place: placeOf(parser) }
  }
}

const placeOf = ({ lastId, retryMs }: SseParser): Place => ({ lastEventId: lastId, retryMs })

/** What is no JSON-RPC message goes no further: standard output carries nothing else. */
async function handOn(bytes: Buffer, sink: Sink): Promise<void> {
  const read = readMessage(bytes, 'upstream')
  if (read.ok) return await sink.message([read.value], bytes)
  const batch = read.error === 'batch' ? readServerBatch(bytes) : []
  if (batch.length > 0) await sink.message(batch, bytes)
}

async function readRefusal(answer: IncomingMessage, status: number): Promise<Refusal> {
  const body = await readBody(answer, MAX_REFUSAL_BYTES).catch(() => undefined)
  const read = body === undefined ? undefined : readMessage(body, 'upstream')
  if (read?.ok !== true || read.value.shape !== 'error')
    return { status, message: undefined, code: undefined }
  const { data } = JSON.parse(rawAt(read.value, 'error') ?? '{}') as { data?: { code?: unknown } }
  return {
    status,
    message: read.value,
    code: typeof data?.code === 'string' ? data.code : undefined,
  }
}

/** Undefined: it is larger than it may be. */
async function readBody(answer: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
