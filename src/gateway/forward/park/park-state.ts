import { createHash } from 'node:crypto'
import { valueAt, type Message } from '../../../protocol/message.ts'
import { createCarrier } from '../../../secrets/carried.ts'

/**
 * The `requestState` that we give to modern clients: sealed, since it comes back from whoever has it (MCP 2026-07-28,
 * "Multi round-trip requests": integrity, principal, expiry, digest of the request).
 */
export interface ParkState {
  /** Boot epoch of the process that holds the call. */
  readonly node: string
  /** The parked call; empty when nothing is held and the request is simply made again. */
  readonly park: string
  readonly round: number
  /** `Principal.key`, the only one that may go on. */
  readonly principal: string
  /** Wall clock, ms. */
  readonly expiresMs: number
  /** Of method, name and arguments: a retry is of the same request. */
  readonly digest: string
}

export interface StateSealer {
  seal(state: ParkState): string
  /** Undefined: not of ours, or changed on the way. */
  open(text: string): ParkState | undefined
}

const PREFIX = 'cst1.'

/** @param key 32 bytes, the same in all processes of one database */
export function createStateSealer(key: Buffer): StateSealer {
  const carrier = createCarrier(key, PREFIX)
  return {
    seal: (state) => carrier.seal(state),
    open: (text) => carrier.open(text) as ParkState | undefined,
  }
}

/** Equal for a request and its retries, in whatever order the client writes the members of an object. */
export function requestDigest(message: Message): string {
  const { name, uri, arguments: args } = (valueAt(message, 'params') ?? {}) as Record<string, unknown>
  const text = JSON.stringify([message.method, name, uri, args ?? {}], sorted)
  return createHash('sha256').update(text).digest('base64url')
}

const sorted = (_key: string, value: unknown): unknown =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? value
    : Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
