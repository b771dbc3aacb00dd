import type { SecretValue } from '../../lib/secret-value.ts'
import { createSealer, type Sealed, type SealedWhere, type Sealer } from '../sealing.ts'
import { keyRefusal, type MasterKey } from './key.ts'

interface Known {
  readonly master: MasterKey
  readonly sealer: Sealer
}

/**
 * Seals with the key in use, and opens with every key that it knows. It keeps those that were replaced until the
 * process ends: what was read before may still be in memory as it was sealed then.
 */
export class Keyring implements Sealer {
  readonly #known = new Map<string, Known>()
  #current: Known

  constructor(master: MasterKey) {
    this.#current = this.#add(master)
  }

  /** Of the key that new values are sealed with. */
  get keyId(): string {
    return this.#current.master.id
  }

  add(master: MasterKey): void {
    this.#add(master)
  }

  get(id: string): MasterKey | undefined {
    return this.#known.get(id)?.master
  }

  /** Seals with this one from here on. It is known. */
  use(id: string): void {
    const known = this.#known.get(id)
    if (known === undefined) throw new TypeError('a key that is not known cannot be used')
    this.#current = known
  }

  seal(where: SealedWhere, value: SecretValue): Sealed {
    return this.#current.sealer.seal(where, value)
  }

  open(where: SealedWhere, sealed: Sealed): SecretValue {
    const known = this.#known.get(sealed.key_id)
    if (known !== undefined) return known.sealer.open(where, sealed)
    throw keyRefusal(
      `the value is sealed with master key ${sealed.key_id}, and ${this.keyId} is loaded; start with that key file`,
    )
  }

  #add(master: MasterKey): Known {
    const there = this.#known.get(master.id)
    if (there !== undefined) return there
    const known = { master, sealer: createSealer(master) }
    this.#known.set(master.id, known)
    return known
  }
}
