import type { Log } from '../lib/log.ts'

/** How to close what was opened, in the order of opening. */
export type Closers = (() => Promise<void> | void)[]

/** The last that was opened first; one that fails does not keep the others open. */
export async function closeAll(closers: Closers, log: Log): Promise<void> {
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (thrown) {
      log.error({ err: thrown }, 'a part did not close cleanly')
    }
  }
}
