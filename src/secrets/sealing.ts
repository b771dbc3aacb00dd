import { SecretValue } from '../lib/secret-value.ts'
import { Fault } from '../lib/fault.ts'
import type { MasterKey } from './master-key.ts'

/** What a sealed value belongs to. It opens there and nowhere else. */
export interface SealedWhere {
  readonly kind: string
  readonly uid: string
  readonly field: string
}

/** A sealed value; named like the columns that keep it. */
export interface Sealed {
  /** The master key that wrapped the data key. */
  readonly key_id: string
  /** Base64, as are the next two. */
  readonly wrapped_key: string
  readonly nonce: string
  readonly ciphertext: string
}

export interface Sealer {
  readonly keyId: string
  seal(where: SealedWhere, value: SecretValue): Sealed
  /** @throws Fault `unavailable` when another key sealed it, or it was sealed for another place, or changed */
  open(where: SealedWhere, sealed: Sealed): SecretValue
}

export function createSealer(key: MasterKey): Sealer {
  return {
    keyId: key.id,
    seal: () => ({ key_id: key.id, wrapped_key: '', nonce: '', ciphertext: '' }),
    open: () => {
      throw new Fault('unavailable', { detail: SecretValue.name })
    },
  }
}
