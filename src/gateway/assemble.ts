import type { Session } from './classify/session.ts'
import { createSessions, type Sessions } from './classify/sessions.ts'
import type { Exchange } from './exchange.ts'
import { createDial, type Dial } from './forward/dial/dial.ts'
import { createEndLeftSessions, type EndLeftSessions } from './forward/http/left-sessions.ts'
import { createParkService } from './forward/park/park-service.ts'
import { createStateSealer } from './forward/park/park-state.ts'
import { createParking } from './forward/park/parking.ts'
import { createPool, type Pool } from './forward/pool.ts'
import { createResume } from './forward/park/resume.ts'
import { createWireIds } from './forward/wire-id.ts'
import { contained } from './contained.ts'
import type { GatewayDeps } from './gateway-deps.ts'
import { createOpenThings, type OpenThings } from './open-things.ts'
import type { PeerService } from './peers.ts'
import { resumeAtOther } from './peers/peer-connection.ts'
import { createSessionPeers } from './peers/session-peers.ts'
import { createSessionService } from './peers/session-service.ts'
import { createRunner } from './pipeline.ts'
import { createInjectionRecord } from './record/injections.ts'
import { createRecord } from './record/record.ts'
import type { Traffic } from './record/traffic.ts'
import { createAnnouncer, type Announcer } from './reply/listen/announce.ts'
import { createClientAsker } from './reply/ask/ask-client.ts'
import { createSessionQuestions } from './reply/ask/ask-question.ts'
import { createClientEar } from './reply/ask/client-ear.ts'
import { createSessionStreams, type SessionStreams } from './reply/events/session-stream.ts'
import { createSseConnections, type SseConnections } from './reply/sse/sse-connections.ts'
import { createCatalog, type Catalog } from './route/catalog.ts'
import { stepTable } from './step-table.ts'
import { compilePipeline } from './steps.ts'

/** What the gateway is made of. */
export interface Parts {
  readonly pool: Pool
  readonly catalog: Catalog
  readonly sessions: Sessions
  readonly announcer: Announcer
  readonly streams: SessionStreams
  readonly sse: SseConnections
  readonly run: ReturnType<typeof createRunner>
  readonly servePeer: PeerService
  readonly endLeftSessions: EndLeftSessions
  readonly detection: Dial['detection']
  readonly openThings: () => OpenThings
  closeDial(): Promise<void>
}

/** Makes the parts and brings them together; nothing runs before the first request. */
export function assemble(deps: GatewayDeps, traffic: Traffic): Parts {
  const { clock, log, us, epoch, snapshot } = deps
  const dial = createDial({
    runtime: deps.runtime,
    openSecret: (secret, key) => snapshot.secretValue(secret, key),
    grants: deps.grants,
    injections: createInjectionRecord({ recorder: deps.recorder, clock, epoch }),
    sessions: deps.upstreamSessions,
    us,
    ids: createWireIds(epoch),
    clock,
  })
  const asker = createClientAsker(epoch)
  const questions = createSessionQuestions(asker, {
    send: (session, text) => streams.mail.send(session, text),
  })
  const announcer: Announcer = createAnnouncer({
    sessions: () => sessions,
    pool: () => pool,
    catalog: () => catalog,
    snapshot,
    accessOf: deps.accessOf,
    log,
  })
  const pool: Pool = createPool({
    dial,
    isCurrent: ({ name, uid, fingerprint }) =>
      snapshot.current().server(name, uid)?.fingerprint === fingerprint,
    heard: () => announcer.heard(),
    tickMs: clock.tickMs,
    nowMs: clock.nowMs,
    events: contained(
      {
        changed: (server, sharer, what) =>
          catalog.changed(server, what === 'resources' ? ['resources', 'templates'] : [what], sharer),
        asked: (_server, sharer, question) => questions.asked(sessionOf(sessions, sharer), question),
        withdrawn: (question) => questions.withdrawn(question),
        notified(server, sharer, message) {
          const session = message.method === PAGE_DONE ? sessionOf(sessions, sharer) : undefined
          if (session === undefined) announcer.notified(server, sharer, message)
          else streams.mail.send(session, message.bytes.toString('utf8'))
        },
        reopened: (server, sharer) => announcer.reopened(server, sharer),
        lost: (server, sharer) => announcer.lost(server, sharer),
      },
      log,
    ),
  })
  const catalog: Catalog = createCatalog({
    pool,
    us,
    tickMs: clock.tickMs,
    onChange: (server, kind, sharer) => announcer.listChanged(server, kind, sharer),
    onDropped: ({ name }, tools) =>
      log.warn(
        { server: name, tools },
        'tools are left out: their x-mcp-header breaks a rule of MCP 2026-07-28',
      ),
  })
  const others = createSessionPeers(deps.peers, {
    back: (session, text) => streams.mail.send(session, text),
    missed: (session) => streams.announceMissed(session),
  })
  const sessions: Sessions = createSessions({
    others,
    store: deps.sessions,
    clock,
    log,
    onEnd: (session) => {
      const { id } = session
      asker.sessionEnded(session)
      announcer.sessionEnded(session)
      pool.endSession(id)
      catalog.endSession(id)
      streams.endSession(session)
    },
    isActive: (principal, project) => deps.accessOf(principal, project) !== undefined,
    onRest({ id }) {
      pool.endSession(id)
      catalog.endSession(id)
    },
    projects: () => snapshot.current(),
  })
  const streams = createSessionStreams({
    epoch,
    tickMs: clock.tickMs,
    onAway: (session) => announcer.streamAway(session),
    onOpen(session) {
      announcer.streamOpened(session)
      others.streaming(session)
    },
    elsewhere: (session, id, ways) => resumeAtOther(deps.peers, { session, id, ...ways }),
  })
  const ear = createClientEar(asker, pool)
  const sessionService = createSessionService({
    sessions,
    streams,
    ear,
    others,
    snapshot,
    log,
    subscriptionsChanged: (session) => announcer.subscriptionsChanged(session),
  })
  const sse = createSseConnections({
    onOpen: (session) => announcer.streamOpened(session),
    endSession: ({ id }) => {
      sessions.end(id).catch((thrown: unknown) => log.warn({ err: thrown }, 'a session could not be ended'))
    },
  })
  const record = createRecord({ recorder: deps.recorder, clock, epoch })
  const sealer = createStateSealer(deps.stateKey)
  const parking = createParking({ sealer, epoch, clock })
  const parkService = createParkService({ sealer, parking, clock })
  const runElement = (element: Exchange): Promise<void> => runners.element(element)
  const table = stepTable(deps, {
    pool,
    catalog,
    sessions,
    announcer,
    streams,
    sse,
    record,
    runElement,
    asker,
    ear,
    others,
    parking,
    resume: createResume({ sealer, parking, clock, peers: deps.peers }),
  })
  const { head, elementHead, tail } = compilePipeline(table)
  const runnerDeps = { record, traffic, log }
  const runners = {
    whole: createRunner({ head, tail }, runnerDeps),
    element: createRunner({ head: elementHead, tail }, runnerDeps),
  }
  return {
    pool,
    catalog,
    sessions,
    announcer,
    streams,
    sse,
    run: runners.whole,
    openThings: createOpenThings({ sessions, pool, parking, asker, announcer }),
    servePeer: (channel, body, reply) => (channel === 'park' ? parkService : sessionService)(body, reply),
    endLeftSessions: createEndLeftSessions({
      dial,
      server: (name, uid) => snapshot.current().server(name, uid),
    }),
    detection: (server) => dial.detection(server),
    closeDial: () => dial.close(),
  }
}

/** A page that the client of this very session was sent to was used (MCP 2025-11-25, "Completion Notifications"). */
const PAGE_DONE = 'notifications/elicitation/complete'

/** A connection that is one session's own is named after it. */
function sessionOf(sessions: Sessions, sharer: string): Session | undefined {
  const prefix = 'session:'
  return sharer.startsWith(prefix) ? sessions.peek(sharer.slice(prefix.length)) : undefined
}
