import type { Log } from '../../lib/log.ts'
import { currentRevision } from '../../store/resources.ts'
import type { Store, Watch } from '../../store/store.ts'
import type { SnapshotSource } from './snapshot.ts'

export interface FollowDeps {
  readonly store: Pick<Store, 'control' | 'watch'>
  readonly snapshot: Pick<SnapshotSource, 'current' | 'catchUp'>
  readonly log: Log
}

/** A notice can be lost: with its connection, or in a pooler on the way. */
const ASK_EVERY_MS = 1000

/**
 * Keeps the snapshot up with what other processes commit: told by the database, and once a second by asking. Undefined
 * where nobody else can write.
 */
export function followStore({ store, snapshot, log }: FollowDeps): Watch | undefined {
  let failing = false
  let asking = false

  async function attempt(read: () => Promise<void>): Promise<void> {
    try {
      await read()
      if (failing) log.info('the configuration is followed again')
      failing = false
    } catch (thrown) {
      if (!failing)
        log.error({ err: thrown }, 'changes of the configuration cannot be read; it stays as it was')
      failing = true
    }
  }

  async function ask(): Promise<void> {
    if (asking) return
    asking = true
    await attempt(async () => {
      if ((await currentRevision(store.control)) !== snapshot.current().revision) await snapshot.catchUp()
    })
    asking = false
  }

  const watch = store.watch?.(() => void attempt(() => snapshot.catchUp()))
  if (watch === undefined) return undefined
  const timer = setInterval(() => void ask(), ASK_EVERY_MS).unref()
  return {
    close() {
      clearInterval(timer)
      return watch.close()
    },
  }
}
