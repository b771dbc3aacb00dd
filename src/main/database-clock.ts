import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { databaseTimeMs } from '../store/database-time.ts'
import type { Store } from '../store/store.ts'

export interface DatabaseClock extends Clock {
  close(): void
}

/** Two clocks drift apart by far less than a millisecond in that time. */
const LOOK_EVERY_MS = 10_000
/** An answer that was on its way for longer says too little. */
const MAX_TRIP_MS = 1000
const FAR_APART_MS = 30_000

/**
 * The time of the database, told without asking it: its offset is looked up from time to time, and this host's
 * monotonic clock goes on from there. So that all daemons of one database mean the same by a time that one of them
 * writes and another reads, however wrong their hosts are. With the embedded store it is this host's clock.
 */
export async function openDatabaseClock(
  store: Pick<Store, 'state' | 'dialect'>,
  own: Clock,
  log: Log,
): Promise<DatabaseClock> {
  const { nowMs, tickMs } = own
  if (store.dialect === 'sqlite') return { nowMs, tickMs, close() {} }
  let aheadOfTicksMs = nowMs() - tickMs()
  let told = false
  let timer: NodeJS.Timeout | undefined

  async function look(maxTripMs: number): Promise<void> {
    const askedMs = tickMs()
    const databaseMs = await databaseTimeMs(store.state)
    const tripMs = tickMs() - askedMs
    if (!Number.isFinite(databaseMs) || tripMs > maxTripMs) return
    aheadOfTicksMs = databaseMs - (askedMs + tripMs / 2)
    const apartMs = nowMs() - databaseMs
    if (Math.abs(apartMs) <= FAR_APART_MS) told = false
    else if (!told) {
      told = true
      log.warn(
        { apartSeconds: Math.round(apartMs / 1000) },
        'the clock of this host is not that of the database, which counts; set both by NTP',
      )
    }
  }

  function later(): void {
    timer = setTimeout(
      () =>
        void look(MAX_TRIP_MS)
          // Whoever needs the database says that it is away.
          .catch(() => undefined)
          .finally(() => timer !== undefined && later()),
      LOOK_EVERY_MS,
    ).unref()
  }

  await look(Number.POSITIVE_INFINITY)
  later()
  return {
    nowMs: () => Math.round(aheadOfTicksMs + tickMs()),
    tickMs,
    close() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
