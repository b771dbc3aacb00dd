import type { Log } from '../lib/log.ts'

/**
 * What servers say unasked runs inside the connection that heard it, which others share: a bug there is logged, and ends
 * neither the connection nor the daemon.
 */
export function contained<Events extends object>(events: Events, log: Log): Events {
  const guarded = Object.entries(events).map(([name, listener]) => [
    name,
    (...args: unknown[]): unknown => {
      try {
        return (listener as (...given: unknown[]) => unknown)(...args)
      } catch (thrown) {
        log.error({ err: thrown, event: name }, 'what a server said met a bug')
        return undefined
      }
    },
  ])
  return Object.fromEntries(guarded) as Events
}
