import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Authenticator } from '../access/authenticate.ts'
import type { Recorder } from '../audit/entry.ts'
import type { Clock } from '../lib/clock.ts'
import type { BootEpoch } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import type { Implementation } from '../protocol/envelope.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { authorizeCall } from './authorize/authorize-call.ts'
import type { Session, SessionStore } from './classify/session.ts'
import { compareParams } from './classify/compare-params.ts'
import { createSessions, type Sessions } from './classify/sessions.ts'
import { createSessionStep } from './classify/session-step.ts'
import { createDial, type Dial } from './forward/dial.ts'
import type { Exchange } from './exchange.ts'
import { createForward } from './forward/forward.ts'
import { createEndLeftSessions, type EndLeftSessions } from './forward/left-sessions.ts'
import { createLogLevels } from './forward/log-level.ts'
import { createParking, type Parking } from './forward/parking.ts'
import { createParkService } from './forward/park-service.ts'
import { createStateSealer } from './forward/park-state.ts'
import { createPool, type Pool } from './forward/pool.ts'
import { createResume, type Resume } from './forward/resume.ts'
import { createTurns } from './forward/turns.ts'
import type { UpstreamSessionLog } from './forward/upstream-sessions.ts'
import { createWireIds } from './forward/wire-id.ts'
import { createEnter, createIdentify } from './identify/identify.ts'
import type { GrantSource } from './inject/grants.ts'
import { createHostCheck } from './listen/allowed-hosts.ts'
import { createMcpHandler } from './listen/handler.ts'
import { classifyExchange, createAdmit, receive } from './listen/receive.ts'
import { createOpenThings, type OpenThings } from './open-things.ts'
import type { PeerService, Peers } from './peers.ts'
import { resumeAtOther } from './peers/peer-connection.ts'
import { createSessionPeers, type SessionPeers } from './peers/session-peers.ts'
import { createSessionService } from './peers/session-service.ts'
import { createRunner } from './pipeline.ts'
import { createRecord } from './record/record.ts'
import { createTraffic, type Traffic } from './record/traffic.ts'
import { createAnswerBatch } from './reply/answer-batch.ts'
import { createAnnouncer, type Announcer } from './reply/announce.ts'
import { createClientEar, type ClientEar } from './reply/client-ear.ts'
import { createClientAsker, type ClientAsker } from './reply/ask-client.ts'
import { createSessionQuestions } from './reply/ask-question.ts'
import {
  createAnswerList,
  createEndSession,
  createSetLevel,
  ping,
  createTakeSaid,
} from './reply/local-answers.ts'
import { createSseConnections, type SseConnections } from './reply/sse-connections.ts'
import { createDiscover, createInitialize } from './reply/opening.ts'
import { createSessionStreams, type SessionStreams } from './reply/session-stream.ts'
import { createAggregator } from './route/aggregate.ts'
import { createCatalog, type Catalog } from './route/catalog.ts'
import { createProjectCompiler } from './route/compiled-project.ts'
import { createUriTable } from './route/project-uris.ts'
import { createTaskHandles } from './route/task-handles.ts'
import { createReadListAgain, createRoute } from './route/route.ts'
import type { ServerView, SnapshotSource } from './snapshot.ts'
import { createGatewayStatus, type GatewayStatus } from './status.ts'
import { compilePipeline, type StepTable } from './steps.ts'

/** What the gateway needs of the rest; `main/serve.ts` brings it together. */
export interface GatewayDeps {
  readonly snapshot: SnapshotSource
  readonly authenticator: Authenticator
  readonly recorder: Recorder
  readonly sessions: SessionStore
  /** Where our sessions at servers are remembered. */
  readonly upstreamSessions: UpstreamSessionLog
  /** Whether a principal that opened a session may still use it. */
  readonly isActive: (principal: string) => boolean
  readonly runtime: Runtime
  readonly clock: Clock
  readonly epoch: BootEpoch
  /** Seals what modern clients carry between the rounds of a call; the same in all processes of one database. */
  readonly stateKey: Buffer
  /** Other processes on the same database. */
  readonly peers: Peers
  readonly log: Log
  /** How we introduce ourselves to clients and servers. */
  readonly us: Implementation
  /** Tokens that others have issued to us, for the servers that they are for. */
  readonly grants: GrantSource
  /** Host names under which the daemon is known besides loopback. */
  readonly hostNames: readonly string[]
}

export interface Gateway {
  handle(request: IncomingMessage, response: ServerResponse): void
  readonly status: GatewayStatus
  readonly traffic: Traffic
  readonly openThings: () => OpenThings
  /** What this process does for others on the same database. */
  readonly servePeer: PeerService
  /** Ends what a process that is gone has left at servers. */
  readonly endLeftSessions: EndLeftSessions
  /** Connections, lists and clients follow the configuration: called after each change, with what it touched. */
  configurationChanged(changed: readonly { readonly kind: string; readonly name: string }[]): void
  /** A server can be tried again at once: its grant has become usable, or has gone. */
  grantChanged(server: string): void
  /** Ends the streams that would otherwise stay open for as long as their clients do; calls in flight go on. */
  drain(): void
  close(): Promise<void>
}

export function createGateway(deps: GatewayDeps): Gateway {
  const traffic = createTraffic()
  const parts = assemble(deps, traffic)
  const { pool, catalog, sessions, announcer } = parts
  return {
    handle: createMcpHandler(parts.run, deps.clock.tickMs, createHostCheck(deps.hostNames)),
    traffic,
    openThings: parts.openThings,
    servePeer: parts.servePeer,
    endLeftSessions: parts.endLeftSessions,
    status: createGatewayStatus({
      pool,
      catalog,
      sessions,
      sandbox: deps.runtime.sandbox,
      detection: parts.detection,
    }),
    configurationChanged(changed) {
      const current = deps.snapshot.current()
      catalog.reconcile((name) => current.server(name))
      pool.reconcile((name) => current.server(name))
      for (const { kind, name } of changed) {
        if (kind === 'Project' && current.project(name) === undefined) sessions.cutProject(name)
        if (kind === 'Project') announcer.projectChanged(name)
        if (kind === 'Server') announcer.serverChanged(name)
        if (kind !== 'Token') continue
        sessions.endInactive()
        announcer.endInactive()
      }
    },
    grantChanged(name) {
      const current = deps.snapshot.current()
      const server = current.server(name)
      if (server === undefined) return
      const others = (other: string): ServerView | undefined =>
        other === name ? undefined : current.server(other)
      catalog.reconcile(others)
      // What is open goes on with the other token; what could not be opened is not held back any longer.
      if (pool.health(server).connections === 0) pool.reconcile(others)
      announcer.serverChanged(name)
    },
    drain() {
      sessions.endStreams()
      announcer.drain()
    },
    async close() {
      announcer.close()
      await sessions.close()
      parts.streams.close()
      parts.sse.close()
      await pool.close()
      await parts.closeDial()
    },
  }
}

interface Parts {
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

function assemble(deps: GatewayDeps, traffic: Traffic): Parts {
  const { clock, log, us, epoch, snapshot } = deps
  const dial = createDial({
    runtime: deps.runtime,
    openSecret: (secret, key) => snapshot.secretValue(secret, key),
    grants: deps.grants,
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
    isActive: deps.isActive,
    log,
  })
  const pool: Pool = createPool({
    dial,
    isCurrent: (server) => snapshot.current().server(server.name)?.fingerprint === server.fingerprint,
    tickMs: clock.tickMs,
    events: {
      changed: (server, sharer, what) =>
        catalog.changed(server, what === 'resources' ? ['resources', 'templates'] : [what], sharer),
      asked: (_server, sharer, question) => questions.asked(sessionOf(sessions, sharer), question),
      withdrawn: (question) => questions.withdrawn(question),
      notified: (server, sharer, message) => announcer.notified(server, sharer, message),
      reopened: (server, sharer) => announcer.reopened(server, sharer),
      lost: (server, sharer) => announcer.lost(server, sharer),
    },
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
    isActive: deps.isActive,
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
    endLeftSessions: createEndLeftSessions({ dial, server: (name) => snapshot.current().server(name) }),
    detection: (server) => dial.detection(server),
    closeDial: () => dial.close(),
  }
}

function stepTable(
  deps: GatewayDeps,
  parts: Omit<Parts, 'run' | 'servePeer' | 'endLeftSessions' | 'openThings' | 'detection' | 'closeDial'> & {
    readonly record: ReturnType<typeof createRecord>
    readonly runElement: (element: Exchange) => Promise<void>
    readonly asker: ClientAsker
    readonly ear: ClientEar
    readonly others: SessionPeers
    readonly parking: Parking
    readonly resume: Resume
  },
): StepTable {
  const { pool, catalog, sessions, announcer, streams, sse, record, asker, parking } = parts
  const uris = createUriTable({ catalog })
  const tasks = createTaskHandles(deps.stateKey)
  const aggregator = createAggregator({
    catalog,
    uris,
    pool,
    tickMs: deps.clock.tickMs,
    epoch: deps.epoch,
    serverInfo: JSON.stringify(deps.us),
  })
  const forward = createForward({
    readListAgain: createReadListAgain({ catalog }),
    pool,
    asker,
    parking,
    tasks,
    resume: parts.resume,
    levels: createLogLevels(),
    turns: createTurns(),
  })
  const answerList = createAnswerList(aggregator)
  const takeSaid = createTakeSaid(parts.ear, parts.others)
  const { subscriptions } = announcer
  return {
    admit: createAdmit(createHostCheck(deps.hostNames)),
    identify: createIdentify(deps.authenticator),
    enter: createEnter(deps.snapshot, createProjectCompiler()),
    receive,
    attach: sse.attach,
    classify: classifyExchange,
    session: createSessionStep(sessions, streams.logs),
    route: createRoute({ catalog, uris, tasks, pool }),
    authorize: authorizeCall,
    compare: compareParams,
    record: record.step,
    forward: (x) => (subscriptions.takes(x) ? subscriptions.answer(x) : forward(x)),
    answer: {
      initialize: createInitialize({ pool, sessions, us: deps.us }),
      'server/discover': createDiscover({ pool, sessions, us: deps.us }),
      ping,
      'tools/list': answerList,
      'prompts/list': answerList,
      'resources/list': answerList,
      'resources/templates/list': answerList,
      'logging/setLevel': createSetLevel(sessions),
      'subscriptions/listen': announcer.listen,
      notification: takeSaid,
      response: takeSaid,
      batch: createAnswerBatch(parts.runElement),
      connect: sse.open,
      stream: streams.open,
      end: createEndSession(sessions),
    },
  }
}

/** A connection that is one session's own is named after it. */
function sessionOf(sessions: Sessions, sharer: string): Session | undefined {
  const prefix = 'session:'
  return sharer.startsWith(prefix) ? sessions.peek(sharer.slice(prefix.length)) : undefined
}
