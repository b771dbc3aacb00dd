import { Fault } from '../../../lib/fault.ts'
import { ok } from '../../../lib/result.ts'
import type { Sealed, Sealer } from '../../sealing.ts'
import { unread, type Reading, type SecretBackend } from '../backend.ts'

export interface EncryptedOptions {
  readonly sealer: Pick<Sealer, 'open'>
  /** The sealed value of a field of the Secret with this uid, as it is stored. */
  readonly find: (uid: string, field: string) => Promise<Sealed | undefined>
}

const PARALLEL = 16
const REFERENCE = /^(?<uid>[A-Za-z0-9_-]{1,128})\/(?<field>[A-Za-z0-9._-]{1,128})$/

/** How the backend names a value of a Secret's own. */
export const ownReference = (uid: string, field: string): string => `${uid}/${field}`

/** Values in our own store, each sealed for its place. A reference is the uid of the Secret, `/` and the key. */
export function createEncryptedBackend({ sealer, find }: EncryptedOptions): SecretBackend {
  const check = (reference: string): string | undefined =>
    REFERENCE.test(reference) ? undefined : 'must be the uid of a Secret, "/" and a key of it'
  return {
    name: 'encrypted',
    writable: true,
    parallel: PARALLEL,
    describe: () => 'the store of the daemon, sealed with its master key',
    check,
    async read(reference) {
      const { uid, field } = REFERENCE.exec(reference)?.groups ?? {}
      if (uid === undefined || field === undefined)
        return unread('absent', `the reference ${check(reference)}`)
      const sealed = await find(uid, field).catch(() => null)
      if (sealed === null) return unread('away', 'the store cannot be read at this moment')
      return sealed === undefined
        ? unread('absent', 'there is no such value')
        : opened(() => sealer.open({ kind: 'Secret', uid, field }, sealed))
    },
    health: () =>
      find('', '').then(
        () => ok(undefined),
        () => ({ ok: false, error: 'the store cannot be read at this moment' }),
      ),
    close() {},
  }
}

function opened(open: () => ReturnType<Sealer['open']>): Reading {
  try {
    return ok(open())
  } catch (thrown) {
    const hint = thrown instanceof Fault ? thrown.hint : undefined
    return unread('unusable', hint ?? 'the value does not open')
  }
}
