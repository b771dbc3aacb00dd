import { hash } from 'node:crypto'
import type { ConnectionWanted } from '../../gateway/connections.ts'
import type { Clock } from '../../lib/clock.ts'
import { createCarrier } from '../../secrets/carried.ts'

/** What the address of a connect page says; sealed, so that nobody can make one for somebody else. */
export interface ConnectTicket extends ConnectionWanted {
  readonly expiresMs: number
}

export interface Tickets {
  seal(wanted: ConnectionWanted): string
  /** At whichever daemon of a database. `old`: it was good once; undefined: nobody here has made it. */
  open(text: string): ConnectTicket | 'old' | undefined
}

/** As long as an agent is told that its user can be waited for. */
const PAGE_MS = 10 * 60_000

/** @param key the same at all daemons of a database */
export function createTickets(key: Buffer, { nowMs }: Pick<Clock, 'nowMs'>): Tickets {
  const carrier = createCarrier(key, 'cco1.')
  return {
    seal: ({ server, holder }) => carrier.seal({ server, holder, expiresMs: nowMs() + PAGE_MS }),
    open(text) {
      // Nobody else can make one, so it is what was sealed.
      const ticket = carrier.open(text) as ConnectTicket | undefined
      return ticket === undefined || ticket.expiresMs > nowMs() ? ticket : 'old'
    },
  }
}

/** Enough to tell tickets apart, where one itself has no business. */
export const ticketId = (text: string): string => hash('sha256', text, 'base64url').slice(0, 22)
