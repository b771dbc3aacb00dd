import type { EndLeftSessions } from '../gateway/forward/http/left-sessions.ts'
import type { UpstreamSession } from '../gateway/forward/http/upstream-sessions.ts'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import type { Sealer } from '../secrets/sealing.ts'
import type { StateDb, UpstreamSessionRow } from '../store/tables.ts'
import {
  claimUpstreamSessions,
  listUpstreamSessionNodes,
  removeUpstreamSessions,
} from '../store/upstream-sessions.ts'
import { SEALED_AS } from './upstream-session-log.ts'

export interface LeftSessionsDeps {
  readonly db: StateDb
  readonly sealer: Pick<Sealer, 'open'>
  /** Our boot epoch. */
  readonly self: string
  /** Which of these processes live no more. */
  readonly goneOf: (nodes: readonly string[]) => Promise<readonly string[]>
  readonly end: EndLeftSessions
  readonly log: Log
  /** How long after a server did not answer it is asked once more. */
  readonly againMs?: number
}

/** Ends, in the background, what processes that are gone have left at servers. */
export interface LeftSessions {
  /** Looks for some: at the start, and when a process is found gone. */
  sweep(): void
  close(): void
}

interface LeftSession extends UpstreamSession {
  readonly uid: string
}

const AGAIN_MS = 60_000
const CLAIMED_AT_ONCE = 500

export function createLeftSessions(deps: LeftSessionsDeps): LeftSessions {
  const { db, sealer, self, log } = deps
  const timers = new Set<NodeJS.Timeout>()
  let sweeping = false
  let again = false
  let closed = false

  function open(row: UpstreamSessionRow): LeftSession | undefined {
    const { uid, server, server_uid: serverUid, url, protocol_version: protocolVersion } = row
    try {
      return { uid, server, serverUid, url, protocolVersion, id: sealer.open({ ...SEALED_AS, uid }, row) }
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown
      log.warn({ server, err: thrown }, 'a session that is left at a server cannot be ended')
      return undefined
    }
  }

  /** Each row goes, but for those that are asked about once more. */
  async function end(rows: readonly UpstreamSessionRow[]): Promise<void> {
    const unanswered = await deps.end(rows.flatMap((row) => open(row) ?? []))
    if (closed) return
    const rest = new Set(unanswered.map(({ uid }) => uid))
    await removeUpstreamSessions(
      db,
      self,
      rows.flatMap(({ uid }) => (rest.has(uid) ? [] : uid)),
    )
    log.info({ sessions: rows.length, unanswered: rest.size }, 'sessions that were left at servers are ended')
    if (rest.size > 0) later(unanswered)
  }

  function later(sessions: readonly LeftSession[]): void {
    const timer = setTimeout(() => {
      timers.delete(timer)
      void guarded(async () => {
        const unanswered = await deps.end(sessions)
        if (closed) return
        const uids = sessions.map(({ uid }) => uid)
        await removeUpstreamSessions(db, self, uids)
        if (unanswered.length > 0)
          log.warn({ sessions: unanswered.length }, 'sessions are left at servers that do not answer')
      })
    }, deps.againMs ?? AGAIN_MS).unref()
    timers.add(timer)
  }

  async function sweepOnce(): Promise<void> {
    const nodes = await listUpstreamSessionNodes(db, self)
    if (nodes.length === 0) return
    for (const gone of await deps.goneOf(nodes)) {
      for (;;) {
        if (closed) return
        const rows = await claimUpstreamSessions(db, { gone, self, limit: CLAIMED_AT_ONCE })
        if (rows.length === 0) break
        await end(rows)
      }
    }
  }

  /** What fails here is left to the next process: it has our name on it. */
  async function guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (thrown) {
      if (!closed) log.warn({ err: thrown }, 'sessions that were left at servers could not be looked up')
    }
  }

  /** Once more for whoever has asked for it meanwhile. */
  async function sweepAll(): Promise<void> {
    again = false
    await guarded(sweepOnce)
    if (again && !closed) return sweepAll()
    sweeping = false
  }

  return {
    sweep() {
      again = true
      if (sweeping || closed) return
      sweeping = true
      void sweepAll()
    },
    close() {
      closed = true
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
