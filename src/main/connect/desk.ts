import type { ConnectDesk, ConnectionWanted } from '../../gateway/connections.ts'
import { credentialOf } from '../../grants/grant.ts'
import type { Grants } from '../../grants/grants.ts'
import type { HttpSpec, ServerSpec } from '../../kinds/server.ts'
import type { Clock } from '../../lib/clock.ts'
import { CONNECT_PATH } from './connect-path.ts'
import { ticketId, type Tickets } from './ticket.ts'

export interface ConnectDeskDeps {
  readonly grants: Pick<Grants, 'stored'>
  readonly server: (name: string) => ServerSpec | undefined
  readonly tickets: Pick<Tickets, 'seal'>
  readonly clock: Clock
  /** Where browsers reach this daemon, without a slash at the end. */
  readonly origin: () => string
}

/** The gateway's own desk, and how the rest hears of what came of a page. */
export interface OpenDesk extends ConnectDesk {
  /** A grant of this holder at this Server has changed. */
  changed(server: string, holder: string): void
}

/** What was connected at another process. */
const LOOK_MS = 1000

/** Leads people to a page where they connect an account of their own, and says when they have. */
export function createConnectDesk(deps: ConnectDeskDeps): OpenDesk {
  const { clock } = deps
  const waiting = new Map<string, Set<() => void>>()

  async function isConnected({ server, holder }: ConnectionWanted): Promise<boolean> {
    const auth = authOf(deps.server(server))
    if (auth === undefined) return false
    const grant = await deps.grants.stored({ name: auth.grant, profile: auth.profile ?? 'default', holder })
    return grant !== undefined && grant.trouble === undefined && credentialOf(grant) !== undefined
  }

  function told(key: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const those = waiting.get(key) ?? new Set()
      waiting.set(key, those)
      const done = (): void => {
        clearTimeout(timer)
        those.delete(done)
        if (those.size === 0) waiting.delete(key)
        resolve()
      }
      const timer = setTimeout(done, waitMs).unref()
      those.add(done)
    })
  }

  return {
    link({ server, holder }) {
      if (!isPerson(holder) || authOf(deps.server(server)) === undefined) return Promise.resolve(undefined)
      const ticket = deps.tickets.seal({ server, holder })
      return Promise.resolve({ id: ticketId(ticket), url: `${deps.origin()}${CONNECT_PATH}${ticket}` })
    },
    async connected(wanted, waitMs) {
      const until = clock.tickMs() + waitMs
      for (;;) {
        if (await isConnected(wanted)) return true
        const left = until - clock.tickMs()
        if (left <= 0) return false
        await told(keyOf(wanted), Math.min(left, LOOK_MS))
      }
    },
    changed(server, holder) {
      for (const tell of waiting.get(keyOf({ server, holder })) ?? []) tell()
    },
  }
}

/** Only people open pages. */
const isPerson = (holder: string): boolean => holder === 'local-admin' || holder.startsWith('user:')

const keyOf = ({ server, holder }: ConnectionWanted): string => `${server} ${holder}`

const authOf = (spec: ServerSpec | undefined): HttpSpec['auth'] =>
  spec === undefined || spec.transport === 'stdio' ? undefined : spec.auth
