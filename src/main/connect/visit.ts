import type { IncomingMessage } from 'node:http'
import type { Standing } from './person.ts'
import type { ConnectTicket } from './ticket.ts'
import type { Visitor } from './visitor.ts'

/** One request to the page of one ticket. */
export interface Visit {
  readonly request: IncomingMessage
  /** The ticket, as it stands in the address. */
  readonly page: string
  /** Path of the page. */
  readonly at: string
  readonly ticket: ConnectTicket
  readonly visitor: Visitor
  /** The browser has no cookie of ours yet. */
  readonly isNew: boolean
  readonly standing: Standing
}
