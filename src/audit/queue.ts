import { createIntentEncoder, encodeOther, encodeOutcome } from './encode.ts'
import type { Gap, Intent, Outcome, Refusals, Segment, Tips } from './entry.ts'
import { PendingSegment } from './segment.ts'
import type { SegmentMessage } from './commit-messages.ts'

/**
 * What has been said and is not on disk yet, and the rhythm in which it goes there. One segment is at the disk, one
 * collects; more exist only while the disk cannot keep up. Knows nothing of threads: `post` takes a segment, and
 * `committed` or `failed` is called when it has been dealt with.
 */
export interface SegmentQueue {
  readonly accepts: () => boolean
  readonly intent: (entry: Intent) => Segment
  readonly outcome: (entry: Outcome) => void
  readonly other: (entry: Gap | Refusals | Tips) => void
  readonly committed: () => void
  readonly failed: (reason: string) => void
  /** The disk would take nothing, as far as is known without a segment there; what becomes of one says more. */
  readonly unreachable: (reason: string) => void
  readonly reachable: () => void
  /** Resolves once everything queued so far is on disk or has failed. */
  readonly settled: () => Promise<void>
  /** No more timers; what is queued stays unwritten. */
  readonly stop: () => void
  readonly state: () => QueueState
}

export interface QueueState {
  readonly queuedEntries: number
  readonly committedEntries: number
  readonly committedSegments: number
  /** Dropped since the start because the disk took none and the queue was full; a `gap` entry says so in the record. */
  readonly lostEntries: number
  readonly failing: { readonly sinceMs: number; readonly reason: string } | undefined
}

export interface QueueOptions {
  readonly maxQueuedEntries: number
  /** Shortest time between two commits while calls are coming in: what makes groups. */
  readonly commitEveryMs: number
  readonly nowMs: () => number
  readonly tickMs: () => number
  readonly post: (message: SegmentMessage) => void
  /** Said once when commits begin to fail, and once when they work again. */
  readonly changed: (state: QueueState) => void
}

const RETRY_MS = 250
/** An outcome waits this long for an intent to ride with. */
const OUTCOME_MS = 25
/** From this size of a group on, commits keep their distance. */
const CROWD_ENTRIES = 8
/** A segment is closed at this size, so that one commit stays short. */
const MAX_ENTRIES = 2_000
const MAX_SIZE = 1024 * 1024
/** Room above the bound for the outcomes of calls that are on their way when it is reached. */
const HEADROOM = 1.25

/** For an entry that could not even be queued. */
const REFUSED: Segment = { committed: false, durable: Promise.resolve(false) }

export function createSegmentQueue(options: QueueOptions): SegmentQueue {
  const { maxQueuedEntries, commitEveryMs } = options
  const encodeIntent = createIntentEncoder()
  const hardBound = Math.ceil(maxQueuedEntries * HEADROOM)
  /** Closed ones that wait for their turn. */
  const waiting: PendingSegment[] = []
  let open = new PendingSegment()
  let atDisk: PendingSegment | undefined
  let queued = 0
  let committedEntries = 0
  let committedSegments = 0
  let lost = 0
  let gap: { sinceMs: number; entries: number } | undefined
  let failing: { sinceMs: number; reason: string } | undefined
  let scheduled = false
  let stopped = false
  let crowded = false
  let postedAtMs = Number.NEGATIVE_INFINITY
  let pace: NodeJS.Timeout | undefined
  let lazy: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined

  const state = (): QueueState => ({
    queuedEntries: queued,
    committedEntries,
    committedSegments,
    lostEntries: lost,
    failing,
  })

  function put(line: string, atMs: number): PendingSegment | undefined {
    if (stopped || queued >= hardBound) {
      lost++
      gap ??= { sinceMs: options.nowMs(), entries: 0 }
      gap.entries++
      return undefined
    }
    if (open.count >= MAX_ENTRIES || open.size >= MAX_SIZE || open.failed) {
      if (open.count > 0) waiting.push(open)
      open = new PendingSegment()
    }
    queued++
    open.add(line, atMs)
    return open
  }

  /** After this turn of the loop, so that requests that were read together are committed together. */
  function hurry(): void {
    if (scheduled || atDisk !== undefined || stopped) return
    scheduled = true
    // With few callers a pause would only make each of them wait; with many it makes groups.
    const waitMs = crowded ? commitEveryMs - (options.tickMs() - postedAtMs) : 0
    if (waitMs <= 0) setImmediate(post)
    else pace = setTimeout(post, waitMs)
  }

  function post(): void {
    scheduled = false
    if (atDisk !== undefined || stopped) return
    const next = waiting.shift() ?? (open.count > 0 ? open : undefined)
    if (next === undefined) return
    if (next === open) open = new PendingSegment()
    atDisk = next
    crowded = next.count >= CROWD_ENTRIES
    postedAtMs = options.tickMs()
    options.post(next.message())
  }

  function later(): void {
    lazy ??= setTimeout(() => {
      lazy = undefined
      hurry()
    }, OUTCOME_MS)
  }

  function recovered(): void {
    failing = undefined
    if (gap !== undefined) {
      const { sinceMs, entries } = gap
      gap = undefined
      other({ type: 'gap', atMs: options.nowMs(), sinceMs, entriesLost: entries })
    }
    options.changed(state())
  }

  function committed(): void {
    if (atDisk === undefined) return
    queued -= atDisk.count
    committedEntries += atDisk.count
    committedSegments++
    atDisk.settle(true)
    atDisk = undefined
    // A gap can also open without a failure, when the disk is only slow: it is told as soon as there is room.
    if (failing !== undefined || gap !== undefined) recovered()
    if (waiting.length > 0 || open.urgent) hurry()
    else if (open.count > 0) later()
  }

  function failed(reason: string): void {
    const first = failing === undefined
    failing = { sinceMs: failing?.sinceMs ?? options.nowMs(), reason }
    atDisk?.settle(false)
    for (const segment of waiting) segment.settle(false)
    open.settle(false)
    if (first) options.changed(state())
    if (stopped || atDisk === undefined) return
    const again = atDisk.message()
    retry = setTimeout(() => options.post(again), RETRY_MS)
  }

  function unreachable(reason: string): void {
    if (atDisk !== undefined || failing !== undefined) return
    failing = { sinceMs: options.nowMs(), reason }
    options.changed(state())
  }

  function reachable(): void {
    if (atDisk === undefined && failing !== undefined) recovered()
  }

  function other(entry: Gap | Refusals | Tips): void {
    put(encodeOther(entry), entry.atMs)
    later()
  }

  return {
    accepts: () => failing === undefined && queued < maxQueuedEntries && !stopped,
    intent(entry) {
      const segment = put(encodeIntent(entry), entry.atMs)
      if (segment === undefined) return REFUSED
      segment.urgent = true
      hurry()
      return segment
    },
    outcome(entry) {
      put(encodeOutcome(entry), entry.atMs)
      if (lazy === undefined) later()
    },
    other,
    committed,
    failed,
    unreachable,
    reachable,
    async settled() {
      const last = open.count > 0 ? open : (waiting.at(-1) ?? atDisk)
      if (last === undefined) return
      hurry()
      await last.durable
    },
    stop() {
      stopped = true
      clearTimeout(pace)
      clearTimeout(lazy)
      clearTimeout(retry)
    },
    state,
  }
}
