import type { UpstreamSession, UpstreamSessionLog } from '../gateway/forward/http/upstream-sessions.ts'
import type { Clock } from '../lib/clock.ts'
import { mintUid } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import type { Sealer } from '../secrets/sealing.ts'
import type { StateDb, UpstreamSessionRow } from '../store/tables.ts'
import { insertUpstreamSessions, removeUpstreamSessions } from '../store/upstream-sessions.ts'

export interface KeptUpstreamSessions extends UpstreamSessionLog {
  /** From here on notes are written; those made before wait for it. */
  begin(): void
  /** Writes what is to be written, once. */
  close(): Promise<void>
}

export interface UpstreamSessionLogDeps {
  readonly db: StateDb
  readonly sealer: Pick<Sealer, 'seal'>
  /** Our boot epoch. */
  readonly node: string
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
}

interface Note {
  readonly session: UpstreamSession
  readonly openedAtMs: number
}

/** More than this are not noted: they are open, but nobody would end them after us. */
const MAX_NOTES = 20_000
const AGAIN_MS = 1000
/** What the id of a session is sealed for. */
export const SEALED_AS = { kind: 'UpstreamSession', field: 'id' } as const

/** Notes go to the state database in batches: while one is written, the next one gathers. */
export function createUpstreamSessionLog({
  db,
  sealer,
  node,
  clock,
  log,
}: UpstreamSessionLogDeps): KeptUpstreamSessions {
  const toInsert = new Map<string, Note>()
  const toRemove = new Set<string>()
  let kept = 0
  let begun = false
  let full = false
  let failing = false
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined

  async function writeBatch(): Promise<void> {
    const inserts = [...toInsert]
    await insertUpstreamSessions(
      db,
      inserts.map(([uid, note]) => toRow(uid, note)),
    )
    for (const [uid] of inserts) {
      // Forgotten while it was written.
      if (!toInsert.delete(uid)) toRemove.add(uid)
    }
    const removes = [...toRemove]
    await removeUpstreamSessions(db, node, removes)
    for (const uid of removes) toRemove.delete(uid)
  }

  async function writeAll(): Promise<void> {
    try {
      while (toInsert.size + toRemove.size > 0) await writeBatch()
      failing = false
    } catch (thrown) {
      if (!failing) log.warn({ err: thrown }, 'sessions at servers cannot be noted; it is tried again')
      failing = true
      timer = setTimeout(write, AGAIN_MS).unref()
    }
  }

  function write(): void {
    if (!begun || writing !== undefined) return
    clearTimeout(timer)
    timer = undefined
    writing = writeAll().finally(() => {
      writing = undefined
      if (timer === undefined && toInsert.size + toRemove.size > 0) write()
    })
  }

  const toRow = (uid: string, { session, openedAtMs }: Note): UpstreamSessionRow => ({
    uid,
    node,
    server: session.server,
    server_uid: session.serverUid,
    url: session.url,
    protocol_version: session.protocolVersion,
    ...sealer.seal({ ...SEALED_AS, uid }, session.id),
    opened_at_ms: openedAtMs,
  })

  function forget(uid: string): void {
    kept--
    if (!toInsert.delete(uid)) toRemove.add(uid)
    if (timer === undefined) write()
  }

  return {
    opened(session) {
      if (kept >= MAX_NOTES) {
        if (!full)
          log.warn({ sessions: kept }, 'so many sessions at servers are open that more are not noted')
        full = true
        return () => {}
      }
      const openedAtMs = clock.nowMs()
      const uid = mintUid('ups', openedAtMs)
      kept++
      toInsert.set(uid, { session, openedAtMs })
      if (timer === undefined) write()
      let forgotten = false
      return () => {
        if (forgotten) return
        forgotten = true
        forget(uid)
      }
    },
    begin() {
      begun = true
      write()
    },
    async close() {
      await writing
      write()
      await writing
      begun = false
      clearTimeout(timer)
    },
  }
}
