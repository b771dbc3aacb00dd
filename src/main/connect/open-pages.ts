import type { FrontDeps } from '../http-front.ts'
import { createCallback, type CallbackDeps } from './callback.ts'
import { createConnectPages, type ConnectPages, type ConnectPagesDeps } from './connect-pages.ts'
import { createTickets } from './ticket.ts'
import { createVisitors } from './visitor.ts'

export interface PagesDeps
  extends Omit<ConnectPagesDeps, 'tickets' | 'visitors'>, Omit<CallbackDeps, 'visitors' | 'snapshot'> {
  /** The same at all daemons of a database. */
  readonly key: Buffer
  /** Where browsers reach us. */
  readonly origin: () => string
  readonly grants: ConnectPagesDeps['grants'] & CallbackDeps['grants']
}

/** All pages that people connect accounts on, and come back to. */
export function openPages({
  key,
  origin,
  ...deps
}: PagesDeps): ConnectPages & { readonly callback: FrontDeps['callback'] } {
  const visitors = createVisitors(key, deps.clock, () => origin().startsWith('https:'))
  const tickets = createTickets(key, deps.clock)
  const all = { ...deps, visitors, tickets }
  return Object.assign(createConnectPages(all), { callback: createCallback(all) })
}
