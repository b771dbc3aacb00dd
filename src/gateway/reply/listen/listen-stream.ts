import { resultMessage } from '../../../protocol/json-rpc.ts'
import { need, type Exchange } from '../../exchange.ts'
import type { Heard } from './heard-as.ts'
import type { Listener } from './bus.ts'
import { LIST_BIT, LIST_NAMES, listChange, SUBSCRIPTION_KEY, type Change } from './change.ts'
import { writeListenFilter, type ListenFilter } from './listen-filter.ts'

const LIST_CHANGES = {
  tools: listChange('tools'),
  prompts: listChange('prompts'),
  resources: listChange('resources'),
}

/**
 * One open `subscriptions/listen`. What it has to say while the client does not keep up is remembered, not queued: at most
 * once for each list and each resource, however often they change.
 */
export class ListenStream implements Listener {
  readonly principal: string
  readonly session = undefined
  readonly project: string
  readonly server: string | undefined
  /** Resolves when it is over, whoever ended it. */
  readonly over: Promise<void>
  /** What it has subscribed to with servers, to be given back. */
  readonly watched: Heard[] = []
  readonly #x: Exchange
  readonly #id: string
  #lists = 0
  #mayWrite = false
  #dueLists = 0
  readonly #dueUpdates = new Map<string, Change>()
  #ended = false
  #settle: () => void = () => {}

  constructor(x: Exchange) {
    this.#x = x
    this.#id = need(x.message?.idText, 'id')
    this.principal = need(x.principal, 'principal').key
    this.project = x.target.project
    this.server = x.target.server
    this.over = new Promise((resolve) => {
      this.#settle = resolve
    })
    x.out.onGone(() => this.#close())
  }

  get ended(): boolean {
    return this.#ended
  }

  /** The first message: what of the filter is honoured. What has changed since it was asked for follows. */
  acknowledge(honoured: ListenFilter): void {
    this.#lists = honoured.lists
    const filter = JSON.stringify(writeListenFilter(honoured))
    this.#mayWrite = true
    this.#write(
      `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":${filter},"_meta":${this.#meta()}}}`,
    )
    this.#flush()
  }

  listsChanged(lists: number): void {
    this.#dueLists |= lists
    this.#flush()
  }

  updated(uri: string, change: Change): void {
    this.#dueUpdates.set(uri, change)
    this.#flush()
  }

  /** Ends it as the protocol wants it: an empty complete result, and nothing after. The client may listen again. */
  end(): void {
    if (this.#ended) return
    this.#x.out.answer(200, [resultMessage(this.#id, `{"resultType":"complete","_meta":${this.#meta()}}`)])
    this.#close()
  }

  #flush(): void {
    for (const list of LIST_NAMES) {
      if (!this.#mayWrite || this.#ended) return
      const due = (this.#dueLists & LIST_BIT[list]) !== 0
      this.#dueLists &= ~LIST_BIT[list]
      if (due && (this.#lists & LIST_BIT[list]) !== 0) this.#write(LIST_CHANGES[list].modern(this.#id))
    }
    for (const [uri, change] of this.#dueUpdates) {
      if (!this.#mayWrite || this.#ended) return
      this.#dueUpdates.delete(uri)
      this.#write(change.modern(this.#id))
    }
  }

  #write(message: string): void {
    if (this.#x.out.event(message)) return
    this.#mayWrite = false
    this.#x.out.onDrain(() => {
      this.#mayWrite = true
      this.#flush()
    })
  }

  #meta(): string {
    return `{"${SUBSCRIPTION_KEY}":${this.#id}}`
  }

  #close(): void {
    this.#ended = true
    this.#settle()
  }
}
