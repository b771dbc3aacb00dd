import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { createOAuthGrants, type OAuthGrants } from '../grants/oauth-flow.ts'
import type { Sealer } from '../secrets/sealing.ts'
import type { Store } from '../store/store.ts'
import { createGrantStore } from './grant-store.ts'
import type { FrontDeps } from './http-front.ts'

export interface GrantsDeps {
  readonly store: Pick<Store, 'control'>
  readonly sealer: Sealer
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly clock: Clock
  readonly log: Log
  /** Where the daemon listens; asked when it does. */
  readonly url: () => string
  /** The grant of this Server has become usable, or has gone. */
  readonly changed: (server: string) => void
}

/** The grants of the control database, with the gateway told of every Server that a change is about. */
export const openGrants = ({ store, sealer, snapshot, url, ...deps }: GrantsDeps): Promise<OAuthGrants> =>
  createOAuthGrants({
    clock: deps.clock,
    log: deps.log,
    store: createGrantStore(store.control, sealer, deps.clock),
    publicOrigin: () => browserOrigin(url()),
    changed(grant) {
      for (const { name, spec } of snapshot.state().servers.values())
        if (spec.transport !== 'stdio' && spec.auth?.grant === grant) deps.changed(name)
    },
  })

/** A browser on this machine: one that listens everywhere is there too, and loopback redirects need no https (RFC 8252). */
export function browserOrigin(text: string): string {
  const url = new URL(text)
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]' || url.hostname === 'localhost')
    url.hostname = '127.0.0.1'
  return url.origin
}

/** The page that a user sees at the end. Its address holds a code: no other page learns of it. */
export const createCallback =
  (grants: Pick<OAuthGrants, 'finish'>): FrontDeps['callback'] =>
  async (name, answer) => {
    const done = await grants.finish(`oauth:${name}`, answer)
    const text = done.ok
      ? `The grant oauth:${name} is authorized. This page can be closed.\n`
      : `The grant oauth:${name} is not authorized: ${done.error}.\n`
    return {
      status: done.ok ? 200 : 400,
      type: 'text/plain; charset=utf-8',
      body: text,
      headers: PAGE_HEADERS,
    }
  }

const PAGE_HEADERS = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
}
