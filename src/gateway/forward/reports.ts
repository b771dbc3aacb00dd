import type { Capabilities, Reports } from './upstream.ts'

/** What a server says that it reports. */
export const declaredReports = ({ tools, prompts, resources }: Capabilities): Reports => ({
  tools: tools?.listChanged === true,
  prompts: prompts?.listChanged === true,
  resources: resources?.listChanged === true,
  updates: resources?.subscribe === true,
})

/** There is no way for it to tell us. */
export const NO_REPORTS: Reports = { tools: false, prompts: false, resources: false, updates: false }

export const LISTS = ['tools', 'prompts', 'resources'] as const

export const reportsLists = (reports: Reports): boolean => LISTS.some((list) => reports[list])

/** How long is waited for a server to let us know whether it reports anything; until it does, it is taken at its word. */
const WAIT_MS = 2000

/** Something that becomes known once and may become known anew. */
export class Known<T> {
  readonly #assumed: T
  #value: T | undefined
  #waiting: (() => void)[] = []

  constructor(assumed: T) {
    this.#assumed = assumed
  }

  set(value: T): void {
    this.#value = value
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async get(): Promise<T> {
    if (this.#value === undefined) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        setTimeout(resolve, WAIT_MS).unref()
      })
    }
    return this.#value ?? this.#assumed
  }
}
