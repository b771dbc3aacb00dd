import type { Fault } from '../../../lib/fault.ts'
import { toHttp } from '../../../lib/fault.ts'
import type { Resource } from '../../../kinds/define-kind.ts'
import type { Stored } from '../../stored.ts'
import type { EventWriter } from './event-text.ts'
import type { Difference, ResourceWatch } from './resource-watch.ts'

/** So long is silence at most; a client that hears nothing for longer may take the connection for lost. */
const HEARTBEAT_MS = 10_000
/** Objects in one piece: between two of them others have their turn. */
const PIECE = 100

export interface WatchStreamDeps {
  readonly watch: ResourceWatch
  readonly writer: EventWriter
  readonly present: (stored: readonly Stored[]) => Promise<readonly Resource[]>
  readonly revision: () => number
  /** Why it may not go on; asked before each event. */
  readonly refusal: () => Fault | undefined
  /** Monotonic, ms. */
  readonly tickMs: () => number
  /** Once, however it ends. */
  readonly ended: () => void
}

/**
 * A watch as server-sent events. Nothing is written before the client has taken what was there: what it has not read
 * waits in the watch, where it is bounded.
 *
 * The id of an event is the revision up to which the client knows everything, so only the last of several that were
 * committed together has one; a heartbeat carries it on while nothing concerns this client.
 */
export class WatchStream {
  readonly #deps: WatchStreamDeps
  #wake: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #state: 'opening' | 'open' | 'ended' = 'opening'
  #toldAtMs = 0

  constructor(deps: WatchStreamDeps) {
    this.#deps = deps
  }

  body(): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder()
    return new ReadableStream(
      {
        pull: async (controller) => {
          const text = await this.#next()
          this.#toldAtMs = this.#deps.tickMs()
          if (text === undefined) return controller.close()
          controller.enqueue(encoder.encode(text))
        },
        cancel: this.end,
      },
      { highWaterMark: 0 },
    )
  }

  /** There may be something to tell. */
  readonly look = (): void => this.#wake?.()

  readonly end = (): void => {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#deps.ended()
    this.look()
  }

  async #next(): Promise<string | undefined> {
    if (this.#state === 'opening') {
      this.#state = 'open'
      const { heading } = this.#deps.writer
      return eventText('started', heading === undefined ? {} : { text: heading }, undefined)
    }
    while (this.#state === 'open') {
      const refusal = this.#deps.refusal()
      if (refusal !== undefined) {
        this.end()
        return eventText('ended', toHttp(refusal).body, undefined)
      }
      const text = await this.#differences()
      if (text !== '') return text
      if (this.#deps.watch.isUpToDate && !(await this.#change())) return this.#heartbeat()
    }
    return undefined
  }

  async #differences(): Promise<string> {
    const { watch, present, writer, revision } = this.#deps
    const differences = watch.next(PIECE)
    if (differences.length === 0) return ''
    const upTo = watch.isUpToDate ? revision() : undefined
    const shown = await present(differences.flatMap(({ stored }) => stored ?? []))
    const byUid = new Map(shown.map((resource) => [resource.metadata.uid, resource]))
    const texts: string[] = []
    for (const [i, difference] of differences.entries()) {
      const data = await writer.data(difference, byUid.get(difference.identity.uid))
      texts.push(eventText(difference.type, data, i === differences.length - 1 ? upTo : undefined))
    }
    return texts.join('')
  }

  /** False: nothing was told for so long that the client has to hear that we are here. */
  #change(): Promise<boolean> {
    const leftMs = this.#toldAtMs + HEARTBEAT_MS - this.#deps.tickMs()
    if (leftMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const done = (changed: boolean): void => {
        this.#wake = undefined
        clearTimeout(this.#timer)
        resolve(changed)
      }
      this.#wake = () => done(true)
      this.#timer = setTimeout(() => done(false), leftMs).unref()
    })
  }

  #heartbeat(): string {
    return this.#deps.watch.isUpToDate ? `: \nid: ${this.#deps.revision()}\n\n` : ': \n\n'
  }
}

const eventText = (
  event: Difference['type'] | 'started' | 'ended',
  data: unknown,
  id: number | undefined,
): string => `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
