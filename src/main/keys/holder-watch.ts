import type { StoreKeyRecord } from './key-record.ts'

/** Removes daemons that live no more from those that a rotation waits for. */
export interface HolderWatch {
  /** Once a beat. */
  look(): Promise<void>
}

/** Of our own beats that have found another's where it was: no clock of another host is asked. */
const GONE_AFTER = 15

interface Seen {
  readonly beat: number
  readonly still: number
}

export function createHolderWatch(
  record: Pick<StoreKeyRecord, 'holders' | 'forgetHolder'>,
  goneAfter = GONE_AFTER,
): HolderWatch {
  let seen = new Map<string, Seen>()
  return {
    async look() {
      const rows = await record.holders()
      seen = new Map(
        rows.map(({ node, beat }) => {
          const before = seen.get(node)
          return [node, { beat, still: before?.beat === beat ? before.still + 1 : 0 }]
        }),
      )
      for (const [node, { beat, still }] of seen)
        if (still >= goneAfter) await record.forgetHolder(node, beat)
    },
  }
}
