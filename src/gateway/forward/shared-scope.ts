import type { ServerView } from '../snapshot.ts'
import type { Scope } from './pool.ts'

/**
 * Through which connection a caller sees a Server's lists and hears of its changes. A remote server is asked on one
 * connection of our own, since its credentials are the Server's and what it says must not vary by client connection; of a
 * process, whose copy it is decides (`spec.instances`).
 */
export const sharedScope = (server: ServerView, scope: Scope): Scope =>
  server.spec.transport === 'stdio' && server.spec.instances !== 'shared' ? scope : EVERYBODY

const EVERYBODY: Scope = { principal: '', session: undefined }

/** Name of who shares that connection, as the pool has it: '' for all. */
export function sharedName(server: ServerView, scope: Scope): string {
  if (server.spec.transport !== 'stdio' || server.spec.instances === 'shared') return ''
  if (server.spec.instances === 'per-principal' || scope.session === undefined) return scope.principal
  return `session:${scope.session}`
}
