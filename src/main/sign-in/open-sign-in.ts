import { createPasswordHasher } from '../../access/sign-in/password-hash.ts'
import { createThrottle } from '../../access/sign-in/throttle.ts'
import type { SignIns } from '../../control/api/sign-ins.ts'
import type { Changes } from '../../control/change/change.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { State } from '../../control/snapshot/state.ts'
import type { Clock } from '../../lib/clock.ts'
import { createSignInClient } from '../../oauth/client/sign-in.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import type { Store } from '../../store/store.ts'
import type { KeepTokens } from '../exchange/kept-sign-ins.ts'
import { createAtProvider, type AtProvider } from './at-provider.ts'
import { createAttempts } from './attempts.ts'
import { createIssue, type Issue } from './issue.ts'
import { createPasswords } from './passwords.ts'
import { statusOf } from './users.ts'

export interface SignInDeps {
  readonly store: Pick<Store, 'control' | 'state'>
  readonly sealer: Pick<Sealer, 'seal' | 'open'>
  readonly snapshot: Pick<SnapshotSource, 'state' | 'secretValue'>
  readonly changes: Pick<Changes, 'bySystem'>
  readonly clock: Clock
  /** The same at all daemons of a database. */
  readonly signInKey: Buffer
  /** How long a sign-in lasts; undefined: 12. */
  readonly signInHours: number | undefined
  readonly keepTokens: KeepTokens
  /** Where browsers reach us. */
  readonly origin: () => string
}

/** How people sign in, with what the way back from a provider needs. */
export interface SignInService
  extends Omit<SignIns, 'startAtProvider'>, Pick<AtProvider, 'startAtProvider' | 'answered'>, Issue {
  close(): Promise<void>
}

const HOUR_MS = 3600 * 1000
/** A working day. */
const DEFAULT_HOURS = 12

export function openSignIn(deps: SignInDeps): SignInService {
  const { store, sealer, snapshot, changes, clock, signInKey: key } = deps
  const { nowMs } = clock
  const client = createSignInClient(clock)
  const passwords = createPasswords({
    db: store.control,
    sealer,
    snapshot,
    changes,
    hasher: createPasswordHasher(),
    throttle: createThrottle(clock.tickMs),
    key,
  })
  const attempts = createAttempts({ db: store.state, sealer, key, nowMs })
  const atProvider = createAtProvider({
    snapshot,
    client,
    attempts,
    origin: deps.origin,
    nowMs,
    keepTokens: deps.keepTokens,
  })
  const issue = createIssue({
    snapshot,
    changes,
    nowMs,
    lifeMs: (deps.signInHours ?? DEFAULT_HOURS) * HOUR_MS,
  })
  const passwordsWork = whetherPasswordsWork(snapshot)
  return {
    ways: () => ({
      passwords: passwordsWork(),
      providers: [...(snapshot.state().resources.get('IdentityProvider')?.values() ?? [])]
        .map(({ resource }) => resource.metadata.name)
        .sort(),
    }),
    byPassword: passwords.byPassword,
    setPassword: passwords.setPassword,
    startAtProvider: (wanted) => atProvider.startAtProvider(wanted),
    finishAtProvider: atProvider.finishAtProvider,
    answered: (answer) => atProvider.answered(answer),
    signIn: issue.signIn,
    signInOnPage: (...given) => issue.signInOnPage(...given),
    signOut: issue.signOut,
    close: () => client.close(),
  }
}

/** Looked up once for each state of the users: anybody may ask. */
function whetherPasswordsWork({ state }: Pick<SnapshotSource, 'state'>): () => boolean {
  let users: ReturnType<State['resources']['get']>
  let found = false
  return () => {
    const now = state().resources.get('User')
    if (now !== users) {
      users = now
      found = [...(now?.values() ?? [])].some((user) => statusOf(user).password)
    }
    return found
  }
}
