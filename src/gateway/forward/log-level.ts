import { requestMessage } from '../../protocol/json-rpc.ts'
import { ownMessage } from './dial/handshake.ts'
import type { Lease } from './pool.ts'
import { ask, type Upstream } from './upstream.ts'

/** RFC 5424 severities, least severe first. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const

export const isLogLevel = (level: string): boolean => (LEVELS as readonly string[]).includes(level)

const severity = (level: string): number => (LEVELS as readonly string[]).indexOf(level)

/** Whether a message of `level` is wanted by who asked for `wanted`. What has no known level is passed on. */
export const passesLevel = (level: string | undefined, wanted: string): boolean =>
  level === undefined || severity(level) < 0 || severity(level) >= severity(wanted)

/**
 * The level is a matter of the connection in legacy servers and of the caller for us: a connection is told before the
 * next call of somebody who wants more than it sends; what is too much for others is left out on its way to them.
 */
export function createLogLevels(): { raise(lease: Lease, level: string): Promise<void> } {
  const told = new WeakMap<Upstream, string>()
  return {
    async raise(lease, level) {
      // A modern client may write anything into its envelope.
      if (!isLogLevel(level)) return
      const before = told.get(lease.upstream)
      const enough =
        before !== undefined && (lease.sharer === '' ? severity(before) <= severity(level) : before === level)
      if (lease.info.era === 'modern' || lease.info.capabilities.logging === undefined || enough) return
      told.set(lease.upstream, level)
      const message = ownMessage(requestMessage('0', 'logging/setLevel', { level }))
      await ask(lease.upstream, { method: 'logging/setLevel', message, edits: [], timeoutMs: 5000 })
    },
  }
}
