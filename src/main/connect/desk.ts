import type { ConnectDesk, ConnectionWanted, ConnectLink } from '../../gateway/connections.ts'
import { credentialOf } from '../../grants/grant.ts'
import type { Grants } from '../../grants/grants.ts'
import { grantIn } from '../../grants/named-grant.ts'
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

/** Whatever nobody told us of: changes of other processes are told within a moment. */
const LOOK_MS = 10_000
/** So long is one link given to whoever asks again: an agent that repeats itself makes no more of them. */
const SAME_LINK_MS = 2 * 60_000
const MAX_LINKS = 10_000
/** Whoever comes then is answered at once, and has to ask again. */
const MAX_WAITING = 10_000

/** Leads people to a page where they connect an account of their own, and says when they have. */
export function createConnectDesk(deps: ConnectDeskDeps): OpenDesk {
  const { clock } = deps
  const bells = createBells()
  const links = new Map<string, { readonly link: ConnectLink; readonly untilTick: number }>()

  async function isConnected({ server, holder }: ConnectionWanted): Promise<boolean> {
    const auth = authOf(deps.server(server))
    if (auth === undefined) return false
    const grant = await deps.grants.stored(Object.assign({ holder }, grantIn(auth)))
    return grant !== undefined && grant.trouble === undefined && credentialOf(grant) !== undefined
  }

  function linkFor(wanted: ConnectionWanted): ConnectLink {
    const key = keyOf(wanted)
    const known = links.get(key)
    if (known !== undefined && known.untilTick > clock.tickMs()) return known.link
    const ticket = deps.tickets.seal(wanted)
    const link = { id: ticketId(ticket), url: `${deps.origin()}${CONNECT_PATH}${ticket}` }
    links.delete(key)
    const [oldest] = links.keys()
    if (links.size >= MAX_LINKS && oldest !== undefined) links.delete(oldest)
    links.set(key, { link, untilTick: clock.tickMs() + SAME_LINK_MS })
    return link
  }

  return {
    link(wanted) {
      const isTheirs = isPerson(wanted.holder) && authOf(deps.server(wanted.server)) !== undefined
      return Promise.resolve(isTheirs ? linkFor(wanted) : undefined)
    },
    async connected(wanted, waitMs) {
      if (bells.size >= MAX_WAITING) return isConnected(wanted)
      const until = clock.tickMs() + waitMs
      const bell = bells.hang(keyOf(wanted))
      try {
        for (;;) {
          if (await isConnected(wanted)) return true
          const left = until - clock.tickMs()
          if (left <= 0) return false
          await bell.rung(Math.min(left, LOOK_MS))
        }
      } finally {
        bell.takeDown()
      }
    },
    changed: (server, holder) => bells.ring(keyOf({ server, holder })),
  }
}

/** Bells that several can wait for: one that rings while nobody listens is heard by the next who does. */
function createBells() {
  const all = new Map<string, Set<() => void>>()
  let size = 0
  return {
    get size() {
      return size
    },
    ring(key: string): void {
      for (const ring of all.get(key) ?? []) ring()
    },
    hang(key: string) {
      let hasRung = false
      let wake: (() => void) | undefined
      const ring = (): void => {
        hasRung = true
        wake?.()
      }
      const those = all.get(key) ?? new Set()
      all.set(key, those.add(ring))
      size++
      return {
        async rung(waitMs: number): Promise<void> {
          if (!hasRung)
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, waitMs).unref()
              wake = () => {
                clearTimeout(timer)
                resolve()
              }
            })
          hasRung = false
        },
        takeDown(): void {
          size--
          those.delete(ring)
          if (those.size === 0) all.delete(key)
        },
      }
    },
  }
}

/** Only people open pages. */
const isPerson = (holder: string): boolean => holder === 'local-admin' || holder.startsWith('user:')

const keyOf = ({ server, holder }: ConnectionWanted): string => `${server} ${holder}`

const authOf = (spec: ServerSpec | undefined): HttpSpec['auth'] =>
  spec === undefined || spec.transport === 'stdio' ? undefined : spec.auth
