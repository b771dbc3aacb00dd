import { Fault } from '../../lib/fault.ts'
import type { Standing } from './standing.ts'

/** Everybody who watches what a credential is worth. */
export interface Watchers {
  /** @returns leaves; undefined: there are too many */
  add(watcher: Watcher): (() => void) | undefined
}

interface Watcher {
  /** Something has changed that may concern it. */
  look(): void
  /** Some time has passed: whoever hears nothing for long has to take the stream for lost. */
  beat(): void
}

/** A watcher that hears nothing for 5 s takes the stream for lost. */
const BEAT_MS = 1500
/** Each holds a connection. */
const MAX_WATCHERS = 10_000
/** So many are looked at in one go: thousands of them must not hold up the calls of others. */
const SLICE = 200

export function createWatchers(subscribe: (changed: () => void) => unknown): Watchers {
  const watchers = new Set<Watcher>()
  let timer: NodeJS.Timeout | undefined
  let looking: Iterator<Watcher> | undefined
  let again = false

  function lookOn(): void {
    for (let i = 0; i < SLICE; i++) {
      const next = looking?.next()
      if (next === undefined || next.done === true) {
        looking = undefined
        if (again) lookAtAll()
        return
      }
      next.value.look()
    }
    setImmediate(lookOn)
  }
  function lookAtAll(): void {
    again = looking !== undefined
    if (again) return
    looking = [...watchers].values()
    lookOn()
  }
  subscribe(lookAtAll)
  return {
    add(watcher) {
      if (watchers.size >= MAX_WATCHERS) return undefined
      watchers.add(watcher)
      timer ??= setInterval(() => {
        for (const one of watchers) one.beat()
      }, BEAT_MS).unref()
      return () => {
        watchers.delete(watcher)
        if (watchers.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    },
  }
}

/** A time of its own says nothing: what is left of it is counted anew in every answer. */
const withoutClock = (standing: Standing): string =>
  JSON.stringify(standing, (key, value: unknown) => (key === 'expiresInMs' ? undefined : value))

/** What is not read for this long piles up no further: the stream ends, and whoever wants it opens another. */
const MAX_UNREAD = 64
/** Unasked, the whole answer is given again after so many beats: it has been looked up anew then. */
const RENEW_BEATS = 6

/**
 * One event now, one for each change, and the whole again from time to time; ends after an answer that is not active.
 *
 * @throws Fault `too_many`
 */
export function standingStream(look: () => Standing, watchers: Watchers, signal: AbortSignal): Response {
  let leave: (() => void) | undefined
  let close = (): void => {}
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const watch = new StandingWatch(look, controller, () => close())
        leave = watchers.add(watch)
        close = () => {
          leave?.()
          watch.end()
        }
        if (leave !== undefined) watch.look()
      },
      cancel: () => leave?.(),
    },
    { highWaterMark: MAX_UNREAD },
  )
  if (leave === undefined) {
    void body.cancel()
    throw new Fault('too_many', { hint: 'too many credentials are watched here; ask without watch' })
  }
  signal.addEventListener('abort', () => close(), { once: true })
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    },
  })
}

const BEAT = Buffer.from(': \n\n')

class StandingWatch implements Watcher {
  readonly #look: () => Standing
  readonly #controller: ReadableStreamDefaultController<Uint8Array>
  readonly #close: () => void
  #last = ''
  #beats = 0
  #ended = false

  constructor(
    look: () => Standing,
    controller: ReadableStreamDefaultController<Uint8Array>,
    close: () => void,
  ) {
    this.#look = look
    this.#controller = controller
    this.#close = close
  }

  look(): void {
    if (this.#ended) return
    const standing = this.#look()
    const text = withoutClock(standing)
    if (text === this.#last) return
    this.#last = text
    this.#send(Buffer.from(`event: standing\ndata: ${JSON.stringify(standing)}\n\n`))
    if (!standing.active) this.#close()
  }

  beat(): void {
    if (this.#ended) return
    this.#beats++
    if (this.#beats % RENEW_BEATS === 0) this.#last = ''
    const before = this.#last
    this.look()
    // Time has ended it, or something has changed: that was a sign of life as well.
    if (this.#last === before) this.#send(BEAT)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#controller.close()
  }

  #send(bytes: Buffer): void {
    if (this.#ended) return
    this.#controller.enqueue(bytes)
    if ((this.#controller.desiredSize ?? 0) <= 0) this.#close()
  }
}
