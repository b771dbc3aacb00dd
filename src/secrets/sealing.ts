import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { Fault } from '../lib/fault.ts'
import { SecretValue } from '../lib/secret-value.ts'
import { decrypt, encrypt, frame, NONCE_BYTES } from './aes-gcm.ts'
import { deriveKey } from './derive-key.ts'
import type { MasterKey } from './keys/key.ts'

/** What a sealed value belongs to. It opens there and nowhere else. */
export interface SealedWhere {
  readonly kind: string
  readonly uid: string
  readonly field: string
  /**
   * Where what it belongs to counts its changes: this one. An older value put back beside a newer record does not open
   * then. Absent: of no version.
   */
  readonly version?: number | undefined
}

/** A sealed value; named like the columns that keep it. */
export interface Sealed {
  /** The master key that wrapped the data key. */
  readonly key_id: string
  /** Base64, as are the next two: nonce, ciphertext and tag of the data key. */
  readonly wrapped_key: string
  readonly nonce: string
  /** Ciphertext and tag. */
  readonly ciphertext: string
}

export interface Sealer {
  readonly keyId: string
  /** @throws Fault `invalid` for text that UTF-8 cannot carry (a lone surrogate): it would come back changed */
  seal(where: SealedWhere, value: SecretValue): Sealed
  /** @throws Fault `unavailable` when another key sealed it, or it was sealed for another place, or changed */
  open(where: SealedWhere, sealed: Sealed): SecretValue
}

interface DataKey {
  readonly key: KeyObject
  readonly wrapped: string
}

/** Random nonces are safe for 2^32 values under one key (NIST SP 800-38D, 8.3): far fewer are used. */
const VALUES_PER_DATA_KEY = 2 ** 20
/** Unwrapped data keys kept in memory: one for each life of a daemon that sealed something. */
const KEPT_DATA_KEYS = 1024

/**
 * Seals with AES-256-GCM: each value under a data key, each data key under the master key. Opening runs when a
 * credential is injected into a call, so it is synchronous and unwraps a data key once.
 */
export function createSealer(master: MasterKey): Sealer {
  const wrappingKey = deriveKey(master, 'data-key-wrap')
  const unwrapped = new Map<string, KeyObject>()
  let current = newDataKey()
  let used = 0

  function newDataKey(): DataKey {
    const bytes = randomBytes(32)
    const nonce = randomBytes(NONCE_BYTES)
    const wrapped = Buffer.concat([
      nonce,
      encrypt(wrappingKey, { nonce, aad: wrapContext(master.id) }, bytes),
    ])
    return { key: createSecretKey(bytes), wrapped: wrapped.toString('base64') }
  }

  function dataKeyOf(sealed: Sealed): KeyObject {
    const known = unwrapped.get(sealed.wrapped_key)
    if (known !== undefined) return known
    const wrapped = Buffer.from(sealed.wrapped_key, 'base64')
    const nonce = wrapped.subarray(0, NONCE_BYTES)
    const bytes = decrypt(wrappingKey, { nonce, aad: wrapContext(master.id) }, wrapped.subarray(NONCE_BYTES))
    const key = createSecretKey(bytes)
    if (unwrapped.size >= KEPT_DATA_KEYS) unwrapped.clear()
    unwrapped.set(sealed.wrapped_key, key)
    return key
  }

  return {
    keyId: master.id,
    seal(where, value) {
      const text = value.reveal()
      if (!text.isWellFormed())
        throw new Fault('invalid', { hint: 'a secret value must be valid Unicode text' })
      if (used++ >= VALUES_PER_DATA_KEY) {
        current = newDataKey()
        used = 1
      }
      const nonce = randomBytes(NONCE_BYTES)
      const ciphertext = encrypt(current.key, { nonce, aad: valueContext(where) }, Buffer.from(text))
      return {
        key_id: master.id,
        wrapped_key: current.wrapped,
        nonce: nonce.toString('base64'),
        ciphertext: ciphertext.toString('base64'),
      }
    },
    open(where, sealed) {
      if (sealed.key_id !== master.id) {
        throw new Fault('unavailable', {
          hint: `the value is sealed with master key ${sealed.key_id}, and ${master.id} is loaded; start with that key file`,
        })
      }
      try {
        const nonce = Buffer.from(sealed.nonce, 'base64')
        const aad = valueContext(where)
        const text = decrypt(dataKeyOf(sealed), { nonce, aad }, Buffer.from(sealed.ciphertext, 'base64'))
        return new SecretValue(text.toString())
      } catch (cause) {
        throw new Fault('unavailable', {
          hint: `a value sealed with master key ${master.id} does not open: it was changed or belongs elsewhere; set it again`,
          detail: { ...where },
          cause,
        })
      }
    },
  }
}

const valueContext = ({ kind, uid, field, version }: SealedWhere): Buffer =>
  frame(['castellan/v1/sealed-value', kind, uid, field, ...(version === undefined ? [] : [String(version)])])
const wrapContext = (keyId: string): Buffer => frame(['castellan/v1/data-key', keyId])
