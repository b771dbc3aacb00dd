import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { createGrants, type Grants } from '../grants/grants.ts'
import type { Sealer } from '../secrets/sealing.ts'
import type { Store } from '../store/store.ts'
import { namedGrant } from '../grants/named-grant.ts'
import type { State } from '../control/snapshot/state.ts'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import { createSignInClient } from '../oauth/client/sign-in.ts'
import { createKeptSignIns, type KeptSignIns } from './exchange/kept-sign-ins.ts'
import { inMemory } from './exchange/in-memory.ts'
import { createGrantAttemptStore } from './grant-attempt-store.ts'
import { createGrantRecord, type GrantRecordDeps } from './grant-record.ts'
import { createGrantStore } from './grant-store.ts'
import { createOAuthFiles } from './oauth-files.ts'
import type { TokenUses } from './token-uses.ts'

export interface GrantsDeps {
  readonly store: Pick<Store, 'control' | 'state' | 'watch'>
  readonly sealer: Pick<Sealer, 'seal' | 'open' | 'keyId'>
  readonly snapshot: Pick<SnapshotSource, 'state' | 'subscribe' | 'secretValue'>
  readonly recorder: GrantRecordDeps['recorder']
  readonly uses: Pick<TokenUses, 'note' | 'all'>
  readonly clock: Clock
  readonly log: Log
  /** Where `oauth/NAME.yaml` is looked for. */
  readonly home: string
  /** Boot epoch of this process. */
  readonly self: string
  readonly goneOf: (nodes: readonly string[]) => Promise<readonly string[]>
  /** Where the daemon listens; asked when it does. */
  readonly url: () => string
  /** What this Server is reached with has become usable, or has gone, for this holder of grants. */
  readonly changed: (server: string, holder: string) => void
}

/** The grants, with what came with sign-ins. */
export interface OpenGrants extends Grants {
  readonly signIns: Pick<KeptSignIns, 'keep' | 'sweep'>
}

/** The grants of the control database, with the gateway told of every Server that a change is about. */
export function openGrants({ store, sealer, snapshot, url, home, ...deps }: GrantsDeps): OpenGrants {
  const { clock } = deps
  const named = createServersByGrant()
  const rows = createGrantStore({ store, sealer, clock })
  const client = createSignInClient(clock)
  const kept = createKeptSignIns({
    ...deps,
    snapshot,
    store: rows,
    client,
    keeper: () => grants.keeper,
    forget: (holder) => grants.signInEnded(holder),
    changed(holder) {
      for (const { name, spec } of snapshot.state().servers.values())
        if (spec.transport !== 'stdio' && spec.auth?.whose === 'caller') deps.changed(name, holder)
    },
  })
  const grants = createGrants({
    ...deps,
    store: rows,
    attempts: createGrantAttemptStore(store.state, sealer, clock),
    shared: store.watch !== undefined,
    fileOf: createOAuthFiles(home),
    publicOrigin: () => browserOrigin(url()),
    signIns: {
      of: (holder) => kept.of(holder),
      renew: (grant) => kept.renew(grant),
      seal: inMemory(sealer),
    },
    recorded: createGrantRecord({ ...deps, snapshot }),
    changed(key) {
      const [profile = '', holder = '', name = ''] = key.split('/', 3)
      for (const server of named(snapshot.state(), `${profile}/${name}`)) deps.changed(server, holder)
    },
  })
  return {
    ...grants,
    signIns: kept,
    async close() {
      kept.close()
      await grants.close()
      await client.close()
    },
  }
}

/** Names of the Servers that name a grant, by profile and name: worked out once for all that ask while no Server changes. */
function createServersByGrant(): (state: State, grant: string) => readonly string[] {
  let known:
    | { readonly of: State['servers']; readonly names: ReadonlyMap<string, readonly string[]> }
    | undefined
  return ({ servers }, grant) => {
    if (known?.of !== servers) {
      const named = [...servers.values()].flatMap(({ name, spec }) => {
        const its = namedGrant(spec)
        return its === undefined ? [] : [{ name, grant: `${its.profile}/${its.name}` }]
      })
      const groups = Map.groupBy(named, (one) => one.grant)
      known = {
        of: servers,
        names: new Map([...groups].map(([of, all]) => [of, all.map(({ name }) => name)] as const)),
      }
    }
    return known.names.get(grant) ?? []
  }
}

/** A browser on this machine: one that listens everywhere is there too, and loopback redirects need no https (RFC 8252). */
export function browserOrigin(text: string): string {
  const url = new URL(text)
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]' || url.hostname === 'localhost')
    url.hostname = '127.0.0.1'
  return url.origin
}
