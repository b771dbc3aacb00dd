import { hash } from 'node:crypto'
import { mintUid, type Uid } from '../../lib/id.ts'

/** What is known of one running copy of a stdio server: one life after the other, for as long as somebody needs it. */
export interface InstanceRecord {
  readonly uid: Uid
  /** `{server}-{n}`; a number is given once. */
  readonly name: string
  readonly server: string
  /** Who shares it: '' for all. */
  readonly sharer: string
  readonly madeAtMs: number
  startedAtMs: number
  restarts: number
  /** Why it ended; undefined while it runs. */
  ended: string | undefined
  /** We were asked to stop it: what comes after it is another one. */
  stopped: boolean
  readonly events: InstanceEvent[]
}

export interface InstanceEvent {
  readonly atMs: number
  readonly what: string
}

/** An instance as it is seen from outside. */
export interface InstanceView extends Readonly<InstanceRecord> {
  readonly sharing: 'shared' | 'per-principal' | 'per-session'
  readonly phase: 'Starting' | 'Running' | 'Ended'
  readonly pid: number | undefined
  /** What stands in brackets before its lines in the log of its server; undefined: nothing does. */
  readonly mark: string | undefined
}

const MAX_EVENTS = 50

/** What tells the copies of one server apart in its log and among its folders; undefined for the one that all share. */
export const sharerDigest = (sharer: string): string | undefined =>
  sharer === '' ? undefined : hash('sha256', sharer, 'hex').slice(0, 12)

export interface InstanceBook {
  /** A copy that is being started; `before`: the one that it takes the place of, if that has ended by itself. */
  starting(of: StartedFor, before: InstanceRecord | undefined): InstanceRecord
  note(record: InstanceRecord | undefined, what: string): void
  ended(record: InstanceRecord | undefined, why: string): void
}

interface StartedFor {
  readonly server: string
  readonly serverUid: string
  readonly sharer: string
}

/** Names and histories of instances. A number is not given twice to the copies of one Server in one life of the daemon. */
export function createInstanceBook(nowMs: () => number): InstanceBook {
  const numbers = new Map<string, number>()

  function note(record: InstanceRecord | undefined, what: string): void {
    if (record === undefined) return
    record.events.push({ atMs: nowMs(), what })
    if (record.events.length > MAX_EVENTS) record.events.shift()
  }

  return {
    note,
    ended(record, why) {
      if (record !== undefined) record.ended = why
      note(record, `ended: ${why}`)
    },
    starting({ server, serverUid, sharer }, before) {
      const atMs = nowMs()
      if (before !== undefined && !before.stopped) {
        before.startedAtMs = atMs
        before.restarts++
        before.ended = undefined
        note(before, 'started again')
        return before
      }
      const number = (numbers.get(serverUid) ?? 0) + 1
      numbers.set(serverUid, number)
      const record: InstanceRecord = {
        uid: mintUid('ins', atMs),
        name: `${server}-${number}`,
        server,
        sharer,
        madeAtMs: atMs,
        startedAtMs: atMs,
        restarts: 0,
        ended: undefined,
        stopped: false,
        events: [],
      }
      note(record, 'started')
      return record
    },
  }
}
