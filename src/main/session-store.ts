import type { SessionRecord, SessionStore } from '../gateway/classify/session.ts'
import type { Clock } from '../lib/clock.ts'
import {
  findSession,
  insertSession,
  listExpired,
  missingSessions,
  removeSession,
  touchSessions,
  updateSession,
} from '../store/sessions.ts'
import type { SessionRow, StateDb } from '../store/tables.ts'

/** The sessions of the gateway, kept in the state database. */
export const createSessionStore = (db: StateDb, clock: Clock): SessionStore => ({
  insert: (record) => insertSession(db, toRow(record, clock.nowMs())),
  async find(id) {
    const row = await findSession(db, id)
    return row === undefined ? undefined : toRecord(row)
  },
  async update({ id, logLevel, subscriptions }) {
    await updateSession(db, id, { log_level: logLevel ?? null, subscriptions: JSON.stringify(subscriptions) })
  },
  touch: (seen) => touchSessions(db, seen),
  missing: (ids) => missingSessions(db, ids),
  async remove(id) {
    await removeSession(db, id)
  },
  async expired(beforeMs, limit, projects) {
    return (await listExpired(db, beforeMs, limit, projects)).map(({ id }) => id)
  },
})

const toRow = (record: SessionRecord, nowMs: number): SessionRow => ({
  id: record.id,
  principal: record.principal,
  project: record.project,
  server: record.server ?? '',
  protocol_version: record.protocolVersion,
  client: record.client,
  log_level: record.logLevel ?? null,
  subscriptions: JSON.stringify(record.subscriptions),
  created_at_ms: nowMs,
  seen_at_ms: record.seenAtMs,
})

const toRecord = (row: SessionRow): SessionRecord => ({
  id: row.id,
  principal: row.principal,
  project: row.project,
  server: row.server === '' ? undefined : row.server,
  protocolVersion: row.protocol_version,
  client: row.client,
  logLevel: row.log_level ?? undefined,
  subscriptions: JSON.parse(row.subscriptions) as [string, string][],
  seenAtMs: row.seen_at_ms,
})
