import type { ServerResponse } from 'node:http'
import { SSE_KEEP_ALIVE } from '../../protocol/sse.ts'

/** How long a stream may be silent before a comment is sent, so that nobody on the way closes it. */
export const KEEP_ALIVE_MS = 15_000

/** Sends the head of an event stream at once and keeps it alive; to be cleared when the response closes. */
export function beginEventStream(response: ServerResponse, keepAliveMs: number): NodeJS.Timeout {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  return setInterval(() => response.write(SSE_KEEP_ALIVE), keepAliveMs).unref()
}
