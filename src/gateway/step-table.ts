import { authorizeCall } from './authorize/authorize-call.ts'
import { compareParams } from './classify/compare-params.ts'
import { createSessionStep } from './classify/session-step.ts'
import type { Sessions } from './classify/sessions.ts'
import type { Exchange } from './exchange.ts'
import { createConnecting } from './forward/connect/connecting.ts'
import { createForward } from './forward/forward.ts'
import { createLogLevels } from './forward/log-level.ts'
import type { Parking } from './forward/park/parking.ts'
import type { Pool } from './forward/pool.ts'
import type { Resume } from './forward/park/resume.ts'
import { createTurns } from './forward/turns.ts'
import type { GatewayDeps } from './gateway-deps.ts'
import { createEnter, createIdentify } from './identify/identify.ts'
import { createHostCheck } from './listen/allowed-hosts.ts'
import { classifyExchange, createAdmit, receive } from './listen/receive.ts'
import type { SessionPeers } from './peers/session-peers.ts'
import type { createRecord } from './record/record.ts'
import type { Announcer } from './reply/listen/announce.ts'
import { createAnswerBatch } from './reply/answer-batch.ts'
import type { ClientAsker } from './reply/ask/ask-client.ts'
import type { ClientEar } from './reply/ask/client-ear.ts'
import {
  createAnswerList,
  createEndSession,
  createSetLevel,
  ping,
  createTakeSaid,
} from './reply/local-answers.ts'
import { createDiscover, createInitialize } from './reply/opening.ts'
import type { SessionStreams } from './reply/events/session-stream.ts'
import type { SseConnections } from './reply/sse/sse-connections.ts'
import { createAggregator } from './route/aggregate.ts'
import type { Catalog } from './route/catalog.ts'
import { createProjectCompiler } from './route/compiled-project.ts'
import { createUriTable } from './route/project-uris.ts'
import { createReadListAgain, createRoute } from './route/route.ts'
import { createTaskHandles } from './route/task-handles.ts'
import type { StepTable } from './steps.ts'

/** What the steps work with. */
export interface TableParts {
  readonly pool: Pool
  readonly catalog: Catalog
  readonly sessions: Sessions
  readonly announcer: Announcer
  readonly streams: SessionStreams
  readonly sse: SseConnections
  readonly record: ReturnType<typeof createRecord>
  readonly runElement: (element: Exchange) => Promise<void>
  readonly asker: ClientAsker
  readonly ear: ClientEar
  readonly others: SessionPeers
  readonly parking: Parking
  readonly resume: Resume
}

/** The code of every step, as the table of `steps.ts` wants it. */
export function stepTable(deps: GatewayDeps, parts: TableParts): StepTable {
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
    connecting: createConnecting({ desk: deps.desk, parking, mail: streams.mail }),
  })
  const answerList = createAnswerList(aggregator)
  const takeSaid = createTakeSaid(parts.ear, parts.others)
  const { subscriptions } = announcer
  return {
    admit: createAdmit(createHostCheck(deps.hostNames)),
    identify: createIdentify(deps.authenticator),
    enter: createEnter({
      snapshot: deps.snapshot,
      authorizer: deps.authorizer,
      compile: createProjectCompiler(),
    }),
    receive,
    attach: sse.attach,
    classify: classifyExchange,
    session: createSessionStep(sessions, streams.logs),
    route: createRoute({ catalog, uris, tasks, pool, desk: deps.desk }),
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
