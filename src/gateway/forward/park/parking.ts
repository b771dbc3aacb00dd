import type { Clock } from '../../../lib/clock.ts'
import type { BootEpoch } from '../../../lib/id.ts'
import type { Refusal } from '../../exchange.ts'
import type { Caller } from '../caller.ts'
import type { StateSealer } from './park-state.ts'

/** A call that stays open at its server while its client looks for answers. */
export interface ParkedCall {
  /** `Principal.key` of whom it belongs to. */
  readonly principal: string
  readonly server: string
  /**
   * Goes on with the answers of a round.
   * @returns false when that round has been answered already
   */
  resume(retry: Retry): boolean
}

export interface Retry {
  readonly caller: Caller
  readonly round: number
  /** Bare results by key, as JSON text. */
  readonly responses: ReadonlyMap<string, string>
  /** Called once this exchange has its answer. */
  readonly conclude: (refusal: Refusal | undefined | Promise<never>) => void
}

/** The calls that this process has parked, and the state by which clients find back to them. */
export interface Parking {
  /** Whether one more may be parked for this principal, on this server. */
  hasRoom(principal: string, server: string): boolean
  /** @returns the id under which it is found */
  add(call: ParkedCall): string
  remove(id: string): void
  find(id: string): ParkedCall | undefined
  /** @returns the `requestState` for one round, or for a request that is simply made again (`id` '') */
  stateOf(about: {
    readonly id: string
    readonly round: number
    readonly principal: string
    readonly digest: string
    /** How long it is good for. */
    readonly forMs: number
  }): string
  readonly size: number
  /** How many have been given up because no answer came. */
  expired: number
}

const MAX_PER_PRINCIPAL = 32
const MAX_PER_SERVER = 128

export function createParking(deps: {
  readonly sealer: StateSealer
  readonly epoch: BootEpoch
  readonly clock: Clock
}): Parking {
  const calls = new Map<string, ParkedCall>()
  let last = 0

  return {
    hasRoom(principal, server) {
      let ofPrincipal = 0
      let ofServer = 0
      for (const call of calls.values()) {
        if (call.principal === principal) ofPrincipal++
        if (call.server === server) ofServer++
      }
      return ofPrincipal < MAX_PER_PRINCIPAL && ofServer < MAX_PER_SERVER
    },
    add(call) {
      const id = `p${deps.epoch}.${++last}`
      calls.set(id, call)
      return id
    },
    remove: (id) => void calls.delete(id),
    find: (id) => calls.get(id),
    stateOf: ({ id, round, principal, digest, forMs }) =>
      deps.sealer.seal({
        node: deps.epoch,
        park: id,
        round,
        principal,
        expiresMs: deps.clock.nowMs() + forMs,
        digest,
      }),
    get size() {
      return calls.size
    },
    expired: 0,
  }
}
