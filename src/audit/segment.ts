import type { Segment } from './entry.ts'
import type { SegmentMessage } from './commit-messages.ts'

/** The entries that will be committed together, while they are collected and until the disk has them. */
export class PendingSegment implements Segment {
  committed = false
  count = 0
  /** True once somebody has been told that it is not on disk: new entries then go to another one. */
  failed = false
  /** True once it holds an intent: somebody may wait for it. */
  urgent = false
  #body = ''
  #firstAtMs = Number.POSITIVE_INFINITY
  #lastAtMs = Number.NEGATIVE_INFINITY
  #durable: Promise<boolean> | undefined
  #resolve: ((durable: boolean) => void) | undefined

  /** @param line one entry, without newline */
  add(line: string, atMs: number): void {
    this.#body = this.count === 0 ? line : `${this.#body}\n${line}`
    this.count++
    if (atMs < this.#firstAtMs) this.#firstAtMs = atMs
    if (atMs > this.#lastAtMs) this.#lastAtMs = atMs
  }

  /** UTF-16 units so far. */
  get size(): number {
    return this.#body.length
  }

  get durable(): Promise<boolean> {
    // Made on demand: most entries are committed before anybody asks.
    this.#durable ??= this.committed
      ? Promise.resolve(true)
      : this.failed
        ? Promise.resolve(false)
        : new Promise((resolve) => (this.#resolve = resolve))
    return this.#durable
  }

  settle(durable: boolean): void {
    if (durable) this.committed = true
    else this.failed = true
    this.#resolve?.(durable)
    this.#resolve = undefined
  }

  message(): SegmentMessage {
    return {
      type: 'segment',
      body: this.#body,
      count: this.count,
      firstAtMs: wholeMs(this.#firstAtMs),
      lastAtMs: wholeMs(this.#lastAtMs),
    }
  }
}

/** A time that the database and the MAC can hold, whatever a clock has said. */
function wholeMs(ms: number): number {
  const whole = Math.trunc(ms)
  return Number.isSafeInteger(whole) ? whole : 0
}
