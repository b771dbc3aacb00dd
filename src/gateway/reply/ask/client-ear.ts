import { notificationMessage } from '../../../protocol/json-rpc.ts'
import { rawAt, type Message } from '../../../protocol/message.ts'
import type { Session } from '../../classify/session.ts'
import type { Pool } from '../../forward/pool.ts'
import type { ClientAsker } from './ask-client.ts'

/** What a legacy client says that is no request. */
export interface ClientEar {
  /** False: it concerns something that is not under way here, or not here alone. */
  heard(session: Session, message: Message): boolean
}

/**
 * A response answers a question of a server, `notifications/cancelled` stops the call it names, progress goes to who asked
 * the client, changed roots to the servers that know them.
 */
export const createClientEar = (asker: ClientAsker, pool: Pool): ClientEar => ({
  heard(session, message) {
    if (message.shape !== 'notification') return asker.answered(session, message)
    switch (message.method) {
      case 'notifications/cancelled': {
        const cancel = session.calls.get(rawAt(message, 'params/requestId') ?? '')
        cancel?.()
        return cancel !== undefined
      }
      case 'notifications/progress':
        return asker.progress(session, message)
      case 'notifications/roots/list_changed':
        pool.tellSession(session.id, notificationMessage(message.method))
        return false
      default:
        return true
    }
  },
})
