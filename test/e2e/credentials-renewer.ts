import { createGrants, type Grants } from '../../src/grants/grants.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createGrantAttemptStore } from '../../src/main/grant-attempt-store.ts'
import { createGrantStore } from '../../src/main/grant-store.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openStore } from '../../src/store/open.ts'
import { NO_SIGN_INS } from '../fixtures/no-sign-ins.ts'

export const KEY = { name: 'oauth:turned', profile: 'default', holder: '' } as const

/** The grants of one process on a database that others work on too. */
export interface Renewer {
  readonly grants: Grants
  close(): Promise<void>
}

/** @param home where the master key is */
export async function openRenewer(home: string, databaseUrl: string): Promise<Renewer> {
  const store = await openStore({ home, databaseUrl }, silentLog)
  const sealer = createSealer((await loadMasterKey({ home, usedWith: [] })).master)
  const grants = createGrants({
    clock,
    log: silentLog,
    store: createGrantStore({ store, sealer, clock }),
    attempts: createGrantAttemptStore(store.state, sealer, clock),
    self: String(process.pid),
    shared: true,
    // They are all on this machine: what a daemon learns from the beats of its peers stands in the process table.
    goneOf: (nodes) => Promise.resolve(nodes.filter((pid) => !isAlive(Number(pid)))),
    publicOrigin: () => 'http://127.0.0.1:7411',
    changed() {},
    signIns: NO_SIGN_INS,
    recorded: (_what, work) => work(),
    fileOf: () => Promise.resolve(undefined),
    uses: { note() {}, all: () => Promise.resolve(new Map()) },
  })
  const close = async (): Promise<void> => {
    await grants.close()
    await store.close()
  }
  return { grants, close }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
