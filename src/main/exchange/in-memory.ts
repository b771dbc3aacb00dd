import type { SignInSource } from '../../grants/exchange.ts'
import type { Sealer } from '../../secrets/sealing.ts'

/** Sealed as what is stored is, and opened for each use. */
export const inMemory =
  (sealer: Pick<Sealer, 'seal' | 'open'>): SignInSource['seal'] =>
  (uid, field, value) => {
    const place = { kind: 'Grant', uid, field }
    const sealed = sealer.seal(place, value)
    return { open: () => sealer.open(place, sealed) }
  }
