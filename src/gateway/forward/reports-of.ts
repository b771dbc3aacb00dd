import type { ServerView } from '../snapshot.ts'
import type { Lease, Pool, Scope } from './pool.ts'
import { declaredReports } from './reports.ts'
import { sharedScope } from './shared-scope.ts'
import type { Reports } from './upstream.ts'

/**
 * What changes of a server reach us, as far as it is connected.
 * @returns undefined: it is not
 */
export async function reportsNow(pool: Pool, server: ServerView, scope: Scope): Promise<Reports | undefined> {
  const lease: Lease | undefined = pool.leaseNow(server, sharedScope(server, scope))
  return inProcess(pool, server) ?? lease?.upstream.reports()
}

/** The same; connects it first. */
export async function reportsOf(pool: Pool, server: ServerView, scope: Scope): Promise<Reports | undefined> {
  const found = inProcess(pool, server)
  if (found !== undefined) return found
  const lease = await pool.lease(server, sharedScope(server, scope))
  return lease.ok ? lease.value.upstream.reports() : undefined
}

/** A process that is known is taken at its word: none is started only to ask, and a pipe carries everything. */
function inProcess(pool: Pool, server: ServerView): Reports | undefined {
  const known = server.spec.transport === 'stdio' ? pool.health(server).info : undefined
  return known === undefined ? undefined : declaredReports(known.capabilities)
}
