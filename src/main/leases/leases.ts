import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../lib/log.ts'
import { dropLeases, keepLeases, listLeases, takeLease } from '../../store/leases.ts'
import type { LeaseRow, StateDb } from '../../store/tables.ts'

/**
 * What is done until it is told to stop. It ends soon after the signal, and is harmless when it is done twice. When it
 * ends or fails before that, it is begun again.
 */
export type LeasedWork = (signal: AbortSignal) => Promise<void>

/** Work that one daemon does for all that work on one database. */
export interface Leases {
  /**
   * Runs `work` for as long as this daemon has the lease of that name: at most one has it. When its holder ends it
   * goes to another at once, when it dies within 18 s, and when it cannot reach the database the work is told to
   * stop before anybody else may begin. A process that was stopped and goes on later may do a moment's work too much.
   */
  withLease(name: string, work: LeasedWork): void
  /** Begins to take leases. */
  begin(): void
  /** Tells all work to stop, waits for it for a moment, and lets others go on with it. */
  close(): Promise<void>
}

export interface LeasesDeps {
  readonly db: StateDb
  /** Our boot epoch. */
  readonly self: string
  /** Whether other daemons may work on the database. Otherwise everything is ours. */
  readonly shared: boolean
  readonly log: Log
  /** Monotonic, ms. */
  readonly tickMs: () => number
  readonly beatMs?: number
}

const BEAT_MS = 3000
/** Of our own beats that have found a lease unmoved, after which it is nobody's: no clock of another host is asked. */
const FREE_AFTER = 5
/** Without a beat of our own for this many, ours is no longer certain; less than `FREE_AFTER` by what a beat may last. */
const CERTAIN_FOR = 3
/** What does not stop by then is left to itself. */
const STOP_MS = 5000

interface Held {
  readonly abort: AbortController
  readonly done: Promise<void>
}

interface Seen extends LeaseRow {
  readonly still: number
}

export function createLeases({ db, self, shared, log, tickMs, beatMs = BEAT_MS }: LeasesDeps): Leases {
  const wanted = new Map<string, LeasedWork>()
  const held = new Map<string, Held>()
  const stopping = new Set<string>()
  let seen = new Map<string, Seen>()
  let beatTimer: NodeJS.Timeout | undefined
  let doubt: NodeJS.Timeout | undefined
  let begun = false
  let failing = false
  let beating: Promise<void> = Promise.resolve()

  async function run(name: string, work: LeasedWork, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await work(signal)
      } catch (thrown) {
        if (!signal.aborted)
          log.error({ err: thrown, lease: name }, 'what one daemon does for all has failed')
      }
      await sleep(beatMs, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }

  function start(name: string, work: LeasedWork): void {
    const abort = new AbortController()
    held.set(name, { abort, done: run(name, work, abort.signal) })
  }

  async function stop(name: string): Promise<void> {
    const mine = held.get(name)
    if (mine === undefined) return
    held.delete(name)
    stopping.add(name)
    mine.abort.abort()
    await mine.done
    stopping.delete(name)
  }

  function stopAll(): void {
    for (const name of held.keys()) {
      log.warn({ lease: name }, 'a lease cannot be kept; another daemon may go on with its work')
      void stop(name)
    }
  }

  /** What was certain when the statement was sent is so for a while after that, however long its answer took. */
  function certainFrom(sentMs: number): void {
    clearTimeout(doubt)
    doubt = setTimeout(stopAll, Math.max(0, sentMs + CERTAIN_FOR * beatMs - tickMs())).unref()
  }

  async function keep(): Promise<void> {
    if (held.size === 0) return
    const sentMs = tickMs()
    const kept = await keepLeases(db, self)
    for (const name of held.keys()) if (!kept.includes(name)) void stop(name)
    certainFrom(sentMs)
  }

  async function take(): Promise<void> {
    const rows = new Map((await listLeases(db)).map((row) => [row.name, look(seen.get(row.name), row)]))
    seen = rows
    for (const [name, work] of wanted) {
      const row = rows.get(name)
      const taken = row !== undefined && row.holder !== self && row.still < FREE_AFTER
      if (taken || held.has(name) || stopping.has(name)) continue
      const sentMs = tickMs()
      if (!(await takeLease(db, name, self, row)) || !begun) continue
      if (held.size === 0) certainFrom(sentMs)
      start(name, work)
    }
  }

  async function beat(): Promise<void> {
    try {
      await keep()
      await take()
      failing = false
    } catch (thrown) {
      if (!failing)
        log.warn({ err: thrown }, 'leases cannot be looked up; what one daemon does for all may wait')
      failing = true
    }
    if (begun) beatTimer = setTimeout(next, beatMs).unref()
  }

  function next(): void {
    beating = beat()
  }

  return {
    withLease(name, work) {
      wanted.set(name, work)
      if (begun && !shared) start(name, work)
    },
    begin() {
      begun = true
      if (shared) return next()
      for (const [name, work] of wanted) start(name, work)
    },
    async close() {
      begun = false
      clearTimeout(beatTimer)
      const ending = Promise.all([...held.keys()].map(stop))
      clearTimeout(doubt)
      await within(STOP_MS, Promise.all([beating, ending]))
      if (shared) await dropLeases(db, self).catch(() => undefined)
    },
  }
}

const look = (before: Seen | undefined, row: LeaseRow): Seen => ({
  ...row,
  still: before?.holder === row.holder && before.beat === row.beat ? before.still + 1 : 0,
})

async function within(ms: number, ended: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, ms)
  await Promise.race([ended, late.promise])
  clearTimeout(timer)
}
