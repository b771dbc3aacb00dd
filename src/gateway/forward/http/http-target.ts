import type { Dispatcher } from 'undici'
import type { HttpSpec } from '../../../kinds/server.ts'

/** Where a Server is that is reached over HTTP, and how requests to it get their configured headers. */
export interface HttpTarget {
  readonly origin: string
  readonly path: string
  readonly dispatcher: Dispatcher
  /** For what stays open for as long as somebody listens: it must not take the connections that calls need. */
  readonly streams: Dispatcher
  readonly connectTimeoutMs: number
  /** The configured headers, with secrets put in at this moment; called once per request. */
  injected(): Record<string, string>
}

export function httpTarget(
  spec: HttpSpec,
  { calls, streams }: { readonly calls: Dispatcher; readonly streams: Dispatcher },
  injected: () => Record<string, string>,
): HttpTarget {
  const url = new URL(spec.url)
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    dispatcher: calls,
    streams,
    connectTimeoutMs: spec.timeouts.connectSeconds * 1000,
    injected,
  }
}
