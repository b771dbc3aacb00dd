/**
 * The ids of events on the streams of legacy sessions: `<epoch>.<stream>.<n>[.<request>]`. They name the process and the
 * stream, so that a client that has lost a connection finds what it missed with GET and `Last-Event-ID` (MCP, Streamable
 * HTTP, resumability), and no id is minted twice over all lives of the daemon (law 11).
 */
export interface EventId {
  /** Boot epoch of the process that minted it. */
  readonly epoch: string
  /** The stream, unique within the epoch. */
  readonly stream: string
  /** Number of the event on its stream, from 1; 0 before the first. `end`: nothing follows it. */
  readonly n: number | 'end'
  /** JSON text of the id of the request that the stream answers; absent on the session's own stream. */
  readonly request: string | undefined
}

/** Longer ids of requests are left out: what became of such a call cannot be said after a restart. */
const MAX_REQUEST_CHARS = 200

/** What all ids of one stream have in common, before and after the number. */
export interface EventIds {
  at(n: number | 'end'): string
}

/** @param request JSON text of the id of the request that the stream answers */
export function eventIds(epoch: string, stream: string, request: string | undefined): EventIds {
  const before = `${epoch}.${stream}.`
  const after =
    request === undefined || request.length > MAX_REQUEST_CHARS
      ? ''
      : `.${Buffer.from(request).toString('base64url')}`
  return { at: (n) => `${before}${n}${after}` }
}

const SHAPE = /^([\w-]{1,16})\.([0-9a-z]{1,10})\.(end|\d{1,12})(?:\.([\w-]{1,1200}))?$/

/** @param text a `Last-Event-ID` header: whatever is not one of ours is undefined */
export function parseEventId(text: string): EventId | undefined {
  const parts = SHAPE.exec(text)
  if (parts === null) return undefined
  const [, epoch = '', stream = '', n = '', request] = parts
  return {
    epoch,
    stream,
    n: n === 'end' ? 'end' : Number(n),
    request: request === undefined ? undefined : requestId(request),
  }
}

/** It comes from the client, and goes back to it in an answer: only what JSON-RPC allows as an id passes. */
function requestId(encoded: string): string | undefined {
  const text = Buffer.from(encoded, 'base64url').toString()
  if (/^-?\d{1,20}$/.test(text)) return text
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? JSON.stringify(value) : undefined
  } catch {
    return undefined
  }
}
