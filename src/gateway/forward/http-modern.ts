import { ok, type Result } from '../../lib/result.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import { encodeHeaderValue } from '../../protocol/header-value.ts'
import { requestMessage } from '../../protocol/json-rpc.ts'
import type { Message } from '../../protocol/message.ts'
import { changedList, ourEnvelope } from './handshake.ts'
import { feedPauseMs } from './feed-pause.ts'
import { httpExchange, type HttpCall } from './http-exchange.ts'
import { postRequest } from './http-call.ts'
import type { HttpTarget } from './http-target.ts'
import { outgoingBytes } from './outgoing.ts'
import type {
  Sink,
  Upstream,
  UpstreamCall,
  UpstreamEvents,
  UpstreamFailure,
  UpstreamInfo,
  UpstreamRequest,
} from './upstream.ts'
import type { WireIds } from './wire-id.ts'

export interface ModernHttpOptions {
  readonly target: HttpTarget
  /** From the probe that found it to be modern. */
  readonly info: UpstreamInfo
  readonly us: Implementation
  readonly ids: WireIds
  readonly events: UpstreamEvents
}

/** Every request stands alone, so there is nothing to add to one. */
const NO_RULES = {}

/** A server of 2026-07-28 over Streamable HTTP: every request stands alone, so one connection serves every caller. */
export function createModernHttp(options: ModernHttpOptions): Upstream {
  const { target, info, ids } = options
  let open = true
  const feed = listChangeFeed(options)
  return {
    get alive() {
      return open
    },
    asks: false,
    // Closing ends the feed only; calls stand alone.
    idle: true,
    open: (): Promise<Result<UpstreamInfo, UpstreamFailure>> => {
      feed.start()
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

/** Holds one `subscriptions/listen` stream for changes of the lists that the server can report. */
function listChangeFeed(options: ModernHttpOptions): { start(): void; stop(): void } {
  const { target, info, ids, us, events } = options
  const wanted = {
    ...(info.capabilities.tools?.listChanged === true ? { toolsListChanged: true } : {}),
    ...(info.capabilities.prompts?.listChanged === true ? { promptsListChanged: true } : {}),
    ...(info.capabilities.resources?.listChanged === true ? { resourcesListChanged: true } : {}),
  }
  let call: HttpCall | undefined
  let timer: NodeJS.Timeout | undefined
  let tries = 0
  let stopped = Object.keys(wanted).length === 0

  function again(): void {
    if (stopped) return
    // Changes may have been missed while nobody listened.
    for (const what of ['tools', 'prompts', 'resources'] as const)
      if (tries > 0 && info.capabilities[what]?.listChanged === true) events.changed(what)
    timer = setTimeout(listen, feedPauseMs(tries++))
    timer.unref()
  }

  function heard(message: Message): void {
    if (message.shape === 'error') stopped = true
    if (message.shape !== 'notification') return
    tries = 0
    const what = changedList(message.method)
    if (what !== undefined) events.changed(what)
  }

  function listen(): void {
    if (stopped) return
    call = httpExchange(
      target.dispatcher,
      {
        method: 'POST',
        origin: target.origin,
        path: target.path,
        headers: modernHeaders(target, info.protocolVersion, { method: 'subscriptions/listen' }),
        body: requestMessage(ids.next(), 'subscriptions/listen', {
          notifications: wanted,
          _meta: ourEnvelope(us),
        }),
      },
      {
        status: (status) => {
          if (status >= 400 && status < 500) stopped = true
        },
        message: heard,
        end: again,
        error: again,
      },
    )
  }

  return {
    start: listen,
    stop() {
      stopped = true
      clearTimeout(timer)
      call?.abort()
    },
  }
}
