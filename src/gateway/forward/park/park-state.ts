import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from 'node:crypto'
import { valueAt, type Message } from '../../../protocol/message.ts'

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
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MAX_TEXT = 4096

/** @param key 32 bytes, the same in all processes of one database */
export function createStateSealer(key: Buffer): StateSealer {
  const secret = createSecretKey(key)
  const open = (text: string): ParkState | undefined => {
    if (!text.startsWith(PREFIX) || text.length > MAX_TEXT) return undefined
    const bytes = Buffer.from(text.slice(PREFIX.length), 'base64url')
    if (bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined
    const decipher = createDecipheriv(CIPHER, secret, bytes.subarray(0, NONCE_BYTES))
    decipher.setAAD(Buffer.from(PREFIX))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      const plain = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
      return JSON.parse(Buffer.concat([plain, decipher.final()]).toString('utf8')) as ParkState
    } catch {
      return undefined
    }
  }
  return {
    seal(state) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, secret, nonce)
      cipher.setAAD(Buffer.from(PREFIX))
      const sealed = Buffer.concat([cipher.update(JSON.stringify(state)), cipher.final()])
      return PREFIX + Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open,
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
