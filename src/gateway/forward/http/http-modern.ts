import { ok, type Result } from '../../../lib/result.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import { encodeHeaderValue } from '../../../protocol/header-value.ts'
import { httpExchange } from './http-exchange.ts'
import { postRequest } from './http-call.ts'
import type { HttpTarget } from './http-target.ts'
import { ModernFeed, type ListenPort } from './modern-feed.ts'
import { outgoingBytes } from '../outgoing.ts'
import type {
  Sink,
  Upstream,
  UpstreamCall,
  UpstreamEvents,
  UpstreamFailure,
  UpstreamInfo,
  UpstreamRequest,
} from '../upstream.ts'
import type { WireIds } from '../wire-id.ts'

export interface ModernHttpOptions {
  readonly target: HttpTarget
  /** From the probe that found it to be modern. */
  readonly info: UpstreamInfo
  readonly us: Implementation
  readonly ids: WireIds
  readonly events: UpstreamEvents
  readonly tickMs: () => number
}

/** Every request stands alone, so there is nothing to add to one. */
const NO_RULES = {}

/** A server of 2026-07-28 over Streamable HTTP: every request stands alone, so one connection serves every caller. */
export function createModernHttp(options: ModernHttpOptions): Upstream {
  const { target, info, ids, us, events, tickMs } = options
  let open = true
  let started = false
  const port = listenPort(target, info.protocolVersion)
  const feed = new ModernFeed({ port, capabilities: info.capabilities, us, ids, events, tickMs })
  return {
    get alive() {
      return open
    },
    asks: false,
    // Closing ends the feed only; calls stand alone.
    idle: true,
    open: (): Promise<Result<UpstreamInfo, UpstreamFailure>> => {
      if (!started) feed.start()
      started = true
      return Promise.resolve(ok(info))
    },
    send(request: UpstreamRequest, sink: Sink): UpstreamCall {
      const wireId = ids.next()
      return postRequest(
        {
          target,
          headers: modernHeaders(target, info.protocolVersion, request),
          body: outgoingBytes(request, wireId),
          wireId,
          timeoutMs: request.timeoutMs,
          rules: NO_RULES,
        },
        sink,
      )
    },
    tell() {},
    watch: (uri) => feed.watch(uri),
    unwatch: (uri) => feed.unwatch(uri),
    get watched() {
      return feed.watched
    },
    reports: () => feed.reports(),
    close() {
      open = false
      feed.stop()
      return Promise.resolve()
    },
  }
}

function modernHeaders(
  target: HttpTarget,
  version: string,
  request: Pick<UpstreamRequest, 'method' | 'name' | 'headers'>,
): Record<string, string> {
  const headers: Record<string, string> = { ...request.headers, ...target.injected() }
  headers['content-type'] = 'application/json'
  headers['accept'] = 'application/json, text/event-stream'
  headers['mcp-protocol-version'] = version
  headers['mcp-method'] = request.method
  if (request.name !== undefined) headers['mcp-name'] = encodeHeaderValue(request.name)
  return headers
}

const listenPort = (target: HttpTarget, version: string): ListenPort => ({
  open(_wireId, body, to) {
    const { streams, origin, path } = target
    const headers = modernHeaders(target, version, { method: 'subscriptions/listen' })
    let notServed = false
    const call = httpExchange(
      streams,
      { method: 'POST', origin, path, headers, body },
      {
        status: (status) => void (notServed = status === 404 || status === 405),
        message: (message) => to.message(message),
        end: () => to.over(notServed ? 'refused' : 'broken'),
        error: () => to.over(notServed ? 'refused' : 'broken'),
      },
    )
    return { close: () => call.abort() }
  },
})
