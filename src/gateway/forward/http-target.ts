import type { Dispatcher } from 'undici'
import type { HttpSpec } from '../../kinds/server.ts'

/** Where an `http` Server is, and how requests to it get their configured headers. */
export interface HttpTarget {
  readonly origin: string
  readonly path: string
  readonly dispatcher: Dispatcher
  readonly connectTimeoutMs: number
  /** The configured headers, with secrets put in at this moment; called once per request. */
  injected(): Record<string, string>
}

export function httpTarget(
  spec: HttpSpec,
  dispatcher: Dispatcher,
  injected: () => Record<string, string>,
): HttpTarget {
  const url = new URL(spec.url)
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    dispatcher,
    connectTimeoutMs: spec.timeouts.connectSeconds * 1000,
    injected,
  }
}
