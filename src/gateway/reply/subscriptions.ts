import { resultMessage } from '../../protocol/json-rpc.ts'
import type { Sessions } from '../classify/sessions.ts'
import { need, type Exchange } from '../exchange.ts'
import type { Answer } from '../forward/bridge.ts'
import type { Pool } from '../forward/pool.ts'
import { scopeOf } from '../route/route.ts'

/** Which resources a session wants to hear of: kept with the session, so that it survives a restart on either side. */
export interface Subscriptions {
  /** After a server has agreed: kept before the client hears of it. */
  readonly answered: (x: Exchange, answer: Answer) => Promise<void> | undefined
  /** Another session hears of the same resource over the same connection: it must not be ended there. */
  stillWanted(x: Exchange, pool: Pool): boolean
  answerHere(x: Exchange): Promise<undefined>
}

export function createSubscriptions(sessions: Sessions): Subscriptions {
  async function forget(x: Exchange): Promise<void> {
    const session = need(x.session, 'session')
    session.subscriptions.delete(need(x.route, 'route').key)
    await sessions.save(session)
  }

  return {
    answered(x, answer) {
      if (answer.outcome !== 'ok' || x.session === undefined) return undefined
      if (x.kind === 'resources/unsubscribe') return forget(x)
      if (x.kind !== 'resources/subscribe') return undefined
      const { key, server } = need(x.route, 'route')
      x.session.subscriptions.set(key, server.name)
      return sessions.save(x.session)
    },
    stillWanted(x, pool) {
      if (x.kind !== 'resources/unsubscribe') return false
      const { key, server } = need(x.route, 'route')
      if (pool.leaseNow(server, scopeOf(x))?.sharer !== '') return false
      for (const other of sessions.all())
        if (other !== x.session && other.subscriptions.get(key) === server.name) return true
      return false
    },
    async answerHere(x) {
      await forget(x)
      x.outcome = 'ok'
      x.out.answer(200, [resultMessage(need(x.message?.idText, 'id'), '{}')])
      return undefined
    },
  }
}
