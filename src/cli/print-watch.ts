import { setTimeout as sleep } from 'node:timers/promises'
import type { IncomingMessage } from 'node:http'
import { createSseParser, type SseEvent } from '../protocol/sse.ts'
import { streamApi } from './api.ts'
import { printText, type CliContext } from './context.ts'
import { CliFailure, knownCode } from './failure.ts'
import type { ListRequest } from './print-list.ts'
import type { Target } from './target.ts'

/** The daemon says something every 10 s. */
const SILENCE_MS = 30_000
const MAX_EVENT_BYTES = 16 * 1024 * 1024
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5000

interface Told {
  readonly text?: string
  /** Of a watch that is ended for a reason: problem details. */
  readonly code?: unknown
  readonly title?: unknown
  readonly hint?: unknown
}

/**
 * Prints what there is and then what changes, until it is stopped. A connection that breaks is opened again and goes on
 * where it was; when that is too long ago, everything is printed anew.
 *
 * @throws CliFailure when the daemon refuses it, or ends it for good
 */
export async function printWatch(
  target: Target,
  { path, query }: ListRequest,
  { stdout, stopped }: Pick<CliContext, 'stdout' | 'stopped'>,
): Promise<void> {
  const signal = stopped?.()
  let lastEventId: string | undefined
  let begun = false
  let pauseMs = FIRST_PAUSE_MS
  const print = ({ event, data, id }: SseEvent): void => {
    pauseMs = FIRST_PAUSE_MS
    lastEventId = id ?? lastEventId
    const text = data.toString('utf8')
    const told = JSON.parse(text) as Told
    if (event === 'ended') throw endOf(told)
    // A table has its heading once.
    if (event === 'started' && begun) return
    begun = true
    if (event !== 'started' && query.output === 'json') printText(stdout, text)
    else if (told.text !== undefined) printText(stdout, told.text)
  }
  const isStopped = (): boolean => signal?.aborted === true
  while (!isStopped()) {
    const opened = await open(target, { path, query }, lastEventId).catch((error: unknown) => {
      if (!begun || !mayPass(error)) throw error
      if (error.body.code === 'expired') lastEventId = undefined
      return undefined
    })
    if (opened !== undefined) lastEventId = (await read(opened, print, signal)) ?? lastEventId
    if (isStopped()) return
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
  }
}

const open = (
  target: Target,
  { path, query }: ListRequest,
  lastEventId: string | undefined,
): Promise<IncomingMessage> =>
  streamApi(target, path, { ...query, watch: true }, { lastEventId, silenceMs: SILENCE_MS })

/** What another attempt may find otherwise. */
const mayPass = (error: unknown): error is CliFailure =>
  error instanceof CliFailure && ['unavailable', 'too_many', 'expired', 'internal'].includes(error.body.code)

function endOf({ code, title, hint }: Told): CliFailure {
  return new CliFailure({
    code: knownCode(code),
    message: `the watch was ended: ${String(title)}`,
    ...(typeof hint === 'string' ? { hint } : {}),
  })
}

/** @returns the id up to which everything was told, where heartbeats have carried it on */
async function read(
  message: IncomingMessage,
  print: (event: SseEvent) => void,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const parser = createSseParser(MAX_EVENT_BYTES, print)
  const stop = (): void => void message.destroy()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    for await (const chunk of message) if (!parser.feed(chunk as Buffer)) break
  } catch (error) {
    // A connection that broke is opened again; what was told is not lost with it.
    if (error instanceof CliFailure) throw error
  } finally {
    signal?.removeEventListener('abort', stop)
    message.destroy()
  }
  return parser.lastId
}
