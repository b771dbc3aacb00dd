import type { IncomingHttpHeaders } from 'node:http'
import type { Message } from '../../protocol/message.ts'
import type { Place, Refusal } from './exchange.ts'
import type { OpenRequest } from './open-request.ts'

/** How the messages of one era travel: what `carry` needs to know of it. */
export interface Lane {
  /** Settles when a request may be sent: what the client said before it has arrived. */
  turn(): Promise<void>
  headers(request: OpenRequest): Record<string, string>
  /** The daemon has taken the request. */
  taken?(request: OpenRequest, headers: IncomingHttpHeaders): void
  /** A message for the client passes by. */
  passing(request: OpenRequest, message: Message): void
  /** The daemon refused a request that it had not begun with. True: it is worth sending again. */
  mend(request: OpenRequest, refusal: Refusal): Promise<boolean>
  /** The stream of the answer has broken off there. True: it was followed to the answer. */
  follow?(request: OpenRequest, place: Place): Promise<boolean>
}
