import { hash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { mintSessionId, type SessionId } from '../../lib/id.ts'
import type { Log } from '../../lib/log.ts'
import { readOffer } from '../../protocol/client-offer.ts'
import { DEFAULT_IDLE_HOURS } from '../../kinds/project.ts'
import { PrincipalSessions } from './principal-sessions.ts'
import type { ProjectView, Snapshot } from '../snapshot.ts'
import type { ProjectsOf, Session, SessionRecord, SessionStore } from './session.ts'

/** The sessions of legacy clients: in memory for the hot path, in the store for after a restart. */
export interface Sessions {
  /** Durable when it resolves, unless it is for memory only. */
  open(
    about: Omit<SessionRecord, 'id' | 'seenAtMs' | 'logLevel' | 'subscriptions'>,
    where?: 'stored' | 'in-memory',
  ): Promise<Session>
  /** A session that this process knows. */
  peek(id: string): Session | undefined
  /** Looks in the store as well, once per id; undefined: unknown, expired or ended. */
  find(id: string): Promise<Session | undefined>
  save(session: Session): Promise<void>
  end(id: string): Promise<void>
  /** It was ended by another process: nothing of it is left here. */
  forget(id: string): void
  /** Another process has changed it; undefined: it is not known here. */
  reload(id: string): Promise<Session | undefined>
  seen(session: Session): void
  count(project: string): number
  /** Of all projects. */
  readonly size: number
  /** Every session that this process knows. */
  all(): Iterable<Session>
  /** Cuts the streams of principals that may no longer be here: a stream is not asked again who it is for. */
  endInactive(): void
  /** Cuts the streams of a project that is gone. */
  cutProject(project: string): void
  /** Ends every stream; the sessions live on. */
  endStreams(): void
  close(): Promise<void>
}

/** The other processes that work on the store: each may know any session. */
export interface OtherProcesses {
  /** Resolve once those that can be reached know. */
  ended(id: string): Promise<void>
  changed(id: string): Promise<void>
  /** A session was read from the store: another process may have its stream. */
  found(session: Session): Promise<void>
}

export interface SessionsDeps {
  readonly store: SessionStore
  readonly others: OtherProcesses
  readonly clock: Clock
  readonly log: Log
  /** Told when a session has ended, whatever ended it. */
  readonly onEnd: (session: Session) => void
  /** Whether who opened a session may still use it. */
  readonly isActive: (principal: string, project: string) => boolean
  /** A session looks left behind: what servers hold for it can go. It may still be used again. */
  readonly onRest: (session: Session) => void
  /** As of now: each says how long its idle sessions live. */
  readonly projects: () => Pick<Snapshot, 'project' | 'projects'>
}

const HOUR_MS = 3600 * 1000
const WRITE_EVERY_MS = 60_000
const EXPIRE_BATCH = 500

export function createSessions(deps: SessionsDeps): Sessions {
  const known = new Map<string, Session>()
  const loading = new Map<string, Promise<Session | undefined>>()
  const touched = new Set<Session>()
  const principals = new PrincipalSessions()
  const timer = setInterval(() => void tend(), WRITE_EVERY_MS)
  timer.unref()

  function endInactive(): void {
    for (const session of known.values()) {
      if (!deps.isActive(session.principal, session.project)) cut(session)
    }
  }

  function cutProject(project: string): void {
    for (const session of known.values()) if (session.project === project) cut(session)
  }

  function endStreams(): void {
    for (const session of known.values()) session.stream?.close()
  }

  async function tend(): Promise<void> {
    endInactive()
    try {
      await writeSeen()
      for (const [hours, projects] of byIdleHours(deps.projects().projects())) {
        const beforeMs = deps.clock.nowMs() - hours * HOUR_MS
        for (const id of await deps.store.expired(beforeMs, EXPIRE_BATCH, projects)) await end(id)
      }
    } catch (thrown) {
      deps.log.warn({ err: thrown }, 'sessions could not be tended; next try in a minute')
    }
  }

  async function writeSeen(): Promise<void> {
    if (touched.size === 0) return
    const batch = [...touched]
    touched.clear()
    try {
      await deps.store.touch(batch.map((session) => [session.id, session.seenAtMs] as const))
      // A process that could not be told of an end finds it out here.
      for (const id of await deps.store.missing(batch.map((session) => session.id))) forget(id)
    } catch (thrown) {
      // Else a session that was used just before a failure could be taken for one that nobody uses.
      for (const session of batch) if (known.has(session.id)) touched.add(session)
      throw thrown
    }
  }

  async function end(id: string): Promise<void> {
    const session = known.get(id)
    known.delete(id)
    // At once: who opens another one meanwhile must not be given the place of this one as well.
    if (session !== undefined) principals.delete(session)
    if (session?.stored !== false) {
      await deps.store.remove(id)
      await deps.others.ended(id)
    }
    if (session !== undefined) drop(session)
  }

  function drop(session: Session): void {
    touched.delete(session)
    principals.delete(session)
    cut(session)
    deps.onEnd(session)
  }

  function forget(id: string): void {
    const session = known.get(id)
    known.delete(id)
    if (session !== undefined) drop(session)
  }

  /** Makes room for one more of this principal. */
  async function makeRoom(principal: string): Promise<void> {
    let surplus: Session | undefined
    while ((surplus = principals.surplus(principal)) !== undefined) await end(surplus.id)
  }

  function know(session: Session): void {
    known.set(session.id, session)
    principals.add(session)
    for (const quiet of principals.toRest(session.principal)) deps.onRest(quiet)
  }

  async function restore(id: string): Promise<Session | undefined> {
    const record = await deps.store.find(id)
    if (record === undefined) return undefined
    const hours = deps.projects().project(record.project)?.spec.sessionIdleHours ?? DEFAULT_IDLE_HOURS
    if (record.seenAtMs < deps.clock.nowMs() - hours * HOUR_MS) return undefined
    const session = fromRecord(record)
    know(session)
    await deps.others.found(session)
    return session
  }

  return {
    async open(about, where = 'stored') {
      await makeRoom(about.principal)
      const id = mintSessionId()
      const record = { ...about, id, logLevel: undefined, subscriptions: [], seenAtMs: deps.clock.nowMs() }
      const stored = where === 'stored'
      if (stored) await deps.store.insert(record)
      const session = { ...fromRecord(record), stored, restored: false }
      know(session)
      return session
    },
    peek: (id) => known.get(id),
    find(id) {
      const session = known.get(id)
      if (session !== undefined) return Promise.resolve(session)
      let found = loading.get(id)
      if (found === undefined) {
        found = restore(id).finally(() => loading.delete(id))
        loading.set(id, found)
      }
      return found
    },
    async save(session) {
      if (!session.stored) return
      await deps.store.update({
        id: session.id,
        logLevel: session.logLevel,
        subscriptions: [...session.subscriptions].map(([uri, server]) => [server, uri] as const),
      })
      await deps.others.changed(session.id)
    },
    end,
    forget,
    async reload(id) {
      const session = known.get(id)
      const record = session === undefined ? undefined : await deps.store.find(id)
      if (session === undefined || record === undefined) return undefined
      session.logLevel = record.logLevel
      session.subscriptions.clear()
      for (const [server, uri] of record.subscriptions) session.subscriptions.set(uri, server)
      return session
    },
    seen(session) {
      session.seenAtMs = deps.clock.nowMs()
      if (session.rested) principals.add(session)
      if (session.stored) touched.add(session)
    },
    count(project) {
      let count = 0
      for (const session of known.values()) if (session.project === project) count++
      return count
    },
    get size() {
      return known.size
    },
    all: () => known.values(),
    endInactive,
    cutProject,
    endStreams,
    async close() {
      clearInterval(timer)
      endStreams()
      await writeSeen()
    },
  }
}

/** One group for each time, so that as many questions are put to the store. Projects that are gone have the usual time. */
function byIdleHours(projects: Iterable<ProjectView>): Map<number, ProjectsOf> {
  const others = new Map<number, string[]>()
  for (const { name, spec } of projects) {
    if (spec.sessionIdleHours === DEFAULT_IDLE_HOURS) continue
    others.set(spec.sessionIdleHours, [...(others.get(spec.sessionIdleHours) ?? []), name])
  }
  const usual: ProjectsOf = { which: 'except', names: [...others.values()].flat() }
  return new Map<number, ProjectsOf>([
    [DEFAULT_IDLE_HOURS, usual],
    ...[...others].map(([hours, names]) => [hours, { which: 'only', names }] as const),
  ])
}

function cut(session: Session): void {
  session.stream?.close()
  for (const cancel of session.calls.values()) cancel()
}

const fromRecord = (record: SessionRecord): Session => ({
  ...clientOf(record.client),
  id: record.id as SessionId,
  digest: hash('sha256', record.id, 'hex').slice(0, 16),
  principal: record.principal,
  project: record.project,
  server: record.server,
  protocolVersion: record.protocolVersion,
  logLevel: record.logLevel,
  subscriptions: new Map(record.subscriptions.map(([server, uri]) => [uri, server])),
  stored: true,
  restored: true,
  rested: false,
  calls: new Map(),
  stream: undefined,
  missed: false,
  seenAtMs: record.seenAtMs,
})

/** @param client JSON text of `{clientInfo, capabilities}` */
function clientOf(client: string): Pick<Session, 'clientInfo' | 'offer'> {
  const { clientInfo, capabilities } = JSON.parse(client) as { clientInfo?: unknown; capabilities?: unknown }
  return {
    clientInfo: JSON.stringify(clientInfo ?? { name: 'unknown', version: '0' }),
    offer: readOffer(JSON.stringify(capabilities ?? {})),
  }
}
