import type { Message } from '../../protocol/message.ts'
import { feedPauseMs } from './feed-pause.ts'
import { httpExchange, type HttpCall } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'

export interface LegacyFeedOptions {
  readonly target: HttpTarget
  /** The headers of the session, as of now. */
  headers(): Record<string, string>
  message(message: Message): void
  /** The stream is there again after a break in which something may have been missed. */
  reopened(): void
}

export interface LegacyFeed {
  start(): void
  /** Until the next `start`. */
  pause(): void
  stop(): void
}

/** The GET stream of a legacy session: what the server says without being asked. A server that answers 405 has none. */
export function createLegacyFeed(options: LegacyFeedOptions): LegacyFeed {
  let call: HttpCall | undefined
  let timer: NodeJS.Timeout | undefined
  let broken = 0
  let wanted = false

  function again(): void {
    call = undefined
    if (!wanted) return
    timer = setTimeout(connect, feedPauseMs(broken++))
    timer.unref()
  }

  function connect(): void {
    if (!wanted) return
    const headers = options.headers()
    delete headers['content-type']
    headers['accept'] = 'text/event-stream'
    const { dispatcher, origin, path } = options.target
    call = httpExchange(
      dispatcher,
      { method: 'GET', origin, path, headers },
      {
        status(status) {
          if (status >= 400 && status < 500) wanted = false
          if (status >= 300 || broken === 0) return
          broken = 0
          options.reopened()
        },
        message: (message) => options.message(message),
        end: again,
        error: again,
      },
    )
  }

  function pause(): void {
    wanted = false
    clearTimeout(timer)
    call?.abort()
    call = undefined
  }

  return {
    start() {
      if (wanted) return
      wanted = true
      connect()
    },
    pause,
    stop: pause,
  }
}
