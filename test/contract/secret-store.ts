import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../src/lib/log.ts'
import type { SecretValue } from '../../src/lib/secret-value.ts'
import type { EncryptedOptions } from '../../src/secrets/backends/encrypted/encrypted-backend.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openStore } from '../../src/store/open.ts'
import { listSealed, putSealed, removeSealed } from '../../src/store/sealed.ts'
import { insertAlone } from './store-rows.ts'

/** One Secret in a real store, with values that are sealed as the control plane seals them. */
export interface SecretStore extends EncryptedOptions {
  readonly home: string
  readonly uid: string
  put(field: string, value: SecretValue): Promise<void>
  remove(field: string): Promise<void>
  close(): Promise<void>
  reopen(): Promise<void>
  /** Removes it with all that is in it. */
  end(): Promise<void>
}

export async function openSecretStore(): Promise<SecretStore> {
  const home = await mkdtemp(join(tmpdir(), 'castellan-sealed-'))
  const uid = 'sec_1'
  const sealer = createSealer({ id: 'mk_contract', key: createSecretKey(randomBytes(32)) })
  let store = await openStore({ home }, silentLog)
  await insertAlone(store, { uid, kind: 'Secret' })
  return {
    home,
    uid,
    sealer,
    find: async (owner, field) =>
      (await listSealed(store.control, owner)).find((sealed) => sealed.field === field),
    put: (field, value) =>
      putSealed(
        store.control,
        Object.assign({ uid, field }, sealer.seal({ kind: 'Secret', uid, field }, value)),
      ),
    remove: (field) => removeSealed(store.control, uid, field),
    close: () => store.close(),
    async reopen() {
      store = await openStore({ home }, silentLog)
    },
    async end() {
      await store.close()
      await rm(home, { recursive: true })
    },
  }
}
