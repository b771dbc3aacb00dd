import type { Grant, GrantStore } from '../src/grants/grant.ts'
import { systemClock as clock } from '../src/lib/clock.ts'
import { silentLog } from '../src/lib/log.ts'
import { createGrantAttemptStore } from '../src/main/grant-attempt-store.ts'
import { createGrantStore } from '../src/main/grant-store.ts'
import { createGrants, type Grants } from '../src/grants/grants.ts'
import { loadMasterKey } from '../src/secrets/master-key.ts'
import { createSealer } from '../src/secrets/sealing.ts'
import { openStore } from '../src/store/open.ts'
import { NO_SIGN_INS } from '../test/fixtures/no-sign-ins.ts'

/** The grants of a home that no daemon runs on. */
export interface OpenHome {
  readonly rows: GrantStore
  readonly grants: Grants
  close(): Promise<void>
}

export async function openHome(home: string): Promise<OpenHome> {
  const store = await openStore({ home }, silentLog)
  const sealer = createSealer((await loadMasterKey({ home, usedWith: [] })).master)
  const rows = createGrantStore({ store, sealer, clock })
  const grants = createGrants({
    clock,
    log: silentLog,
    store: rows,
    attempts: createGrantAttemptStore(store.state, sealer, clock),
    self: 'bench',
    shared: false,
    goneOf: () => Promise.resolve([]),
    publicOrigin: () => 'http://127.0.0.1:7411',
    changed() {},
    signIns: NO_SIGN_INS,
    fileOf: () => Promise.resolve(undefined),
    recorded: (_what, work) => work(),
    uses: { note() {}, all: () => Promise.resolve(new Map()) },
  })
  return {
    rows,
    grants,
    async close() {
      await grants.close()
      await store.close()
    },
  }
}

const AT_ONCE = 64

export async function keep(rows: GrantStore, many: readonly Grant[]): Promise<void> {
  for (let from = 0; from < many.length; from += AT_ONCE)
    await Promise.all(
      many.slice(from, from + AT_ONCE).map((grant) => rows.save(Object.assign(grant, { version: 1 }), false)),
    )
}
