import { resultMessage } from '../../protocol/json-rpc.ts'
import { hasPath, stringAt, type Message } from '../../protocol/message.ts'
import type { Session } from '../classify/session.ts'
import type { Sessions } from '../classify/sessions.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import { isLogLevel } from '../forward/log-level.ts'
import { decodeCursor, type Aggregator } from '../route/aggregate.ts'
import type { ListKind } from '../route/listed-item.ts'
import { scopeOf } from '../route/route.ts'
import type { ClientEar } from './ask/client-ear.ts'

/** Requests that are answered here, without asking a server. */

export function ping(x: Exchange): undefined {
  x.out.answer(200, [resultMessage(need(x.message?.idText, 'id'), '{}')])
  return undefined
}

const KIND_OF: Partial<{ [kind in Exchange['kind']]: ListKind }> = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'templates',
}

const BAD_CURSOR: Refusal = {
  code: 'invalid',
  problems: ['params.cursor is not one of this list as it is now'],
  hint: 'begin again without a cursor',
}

/** The four lists: merged, named and rendered beforehand; a warm one is a buffer that only lacks the id. */
export function createAnswerList(aggregator: Aggregator): (x: Exchange) => Promise<Refusal | undefined> {
  return async (x) => {
    const message = need(x.message, 'message')
    const project = need(x.project, 'project')
    const server = x.target.server === undefined ? undefined : project.servers.get(x.target.server)
    const rendered = await aggregator.list({
      project,
      access: need(x.access, 'access'),
      server,
      scope: scopeOf(x),
      kind: need(KIND_OF[x.kind], 'kind'),
      era: x.era,
    })
    let index = 0
    if (hasPath(message, 'params/cursor')) {
      const cursor = decodeCursor(stringAt(message, 'params/cursor') ?? '')
      if (cursor === undefined || cursor.stamp !== rendered.stamp) return BAD_CURSOR
      index = cursor.page
    }
    const page = rendered.pages[index]
    if (page === undefined) return BAD_CURSOR
    x.outcome = 'ok'
    x.out.answer(200, [`{"jsonrpc":"2.0","id":${need(message.idText, 'id')},"result":`, page, '}'])
    return undefined
  }
}

/** Kept in the session; servers are told before the next call that goes to them. */
export function createSetLevel(sessions: Sessions): (x: Exchange) => Promise<Refusal | undefined> {
  return async (x) => {
    const message = need(x.message, 'message')
    const level = stringAt(message, 'params/level')
    if (level === undefined || !isLogLevel(level))
      return { code: 'invalid', problems: ['params.level must be a syslog level, such as info or error'] }
    const session = need(x.session, 'session')
    session.logLevel = level
    await sessions.save(session)
    x.outcome = 'ok'
    x.out.answer(200, [resultMessage(need(message.idText, 'id'), '{}')])
    return undefined
  }
}

/**
 * A notification or a response of a client: for what is under way here, or at another process. 202 for all, also for those
 * that come late or concern nothing.
 */
export function createTakeSaid(
  ear: ClientEar,
  others: { said(session: Session, message: Message): void },
): (x: Exchange) => undefined {
  return (x) => {
    const message = need(x.message, 'message')
    if (x.session !== undefined && !ear.heard(x.session, message)) others.said(x.session, message)
    x.out.empty(202)
    return undefined
  }
}

/** DELETE: over, also if it was over already. */
export function createEndSession(sessions: Sessions): (x: Exchange) => Promise<undefined> {
  return async (x) => {
    if (x.session !== undefined) await sessions.end(x.session.id)
    x.out.empty(200)
    return undefined
  }
}
