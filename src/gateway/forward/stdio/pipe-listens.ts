import { rawAt, valueAt, type Message } from '../../../protocol/message.ts'
import type { ListenPort, ListenSink } from '../http/modern-feed.ts'
import type { StdioPipe } from './stdio-pipe.ts'

/** `subscriptions/listen` over a pipe, where what belongs to which listen is said by the messages themselves. */
export class PipeListens implements ListenPort {
  readonly #pipe: StdioPipe
  readonly #open = new Map<string, ListenSink>()

  constructor(pipe: StdioPipe) {
    this.#pipe = pipe
  }

  open(wireId: string, body: string, to: ListenSink): { close(): void } {
    this.#open.set(wireId, to)
    this.#pipe.stand(wireId, body, {
      reply: (message) => to.message(message),
      failed: () => this.#open.delete(wireId) && to.over('broken'),
    })
    return {
      close: () => {
        if (this.#open.delete(wireId)) this.#pipe.cancel(wireId)
      },
    }
  }

  /** Takes what is about a listen itself; false: it is a change like any other, or nothing of ours. */
  heard(notification: Message): boolean {
    const id = idIn(notification)
    const to = id === undefined ? undefined : this.#open.get(id)
    to?.message(notification)
    return to !== undefined
  }
}

/** As JSON text, which is how our own ids are kept. */
function idIn(notification: Message): string | undefined {
  if (notification.method === 'notifications/cancelled') return rawAt(notification, 'params/requestId')
  if (notification.method !== 'notifications/subscriptions/acknowledged') return undefined
  const meta = valueAt(notification, 'params/_meta') as Record<string, unknown> | null | undefined
  return JSON.stringify(meta?.['io.modelcontextprotocol/subscriptionId'])
}
