import type { GrantKey } from '../../../grants/grant.ts'
import type { Grants } from '../../../grants/grants.ts'
import { readGrantId } from '../../../grants/grant-id.ts'
import { isEachPersons } from '../../../grants/named-grant.ts'
import type { HttpSpec } from '../../../kinds/server.ts'
import type { Call } from '../route.ts'

/** Where people connect accounts of their own in a browser. */
export interface ConnectPages {
  /** The page for this holder at this Server; undefined: there is none. */
  link(server: string, holder: string): Promise<string | undefined>
  /** Browsers reach the daemon on its own machine only: nobody elsewhere can be led to end an authorization there. */
  readonly isLocal: () => boolean
  /** Where authorization servers send browsers to. */
  readonly callback: () => string
}

interface Own {
  readonly key: GrantKey
  readonly server: string | undefined
  readonly spec: HttpSpec | undefined
}

/**
 * A person's own account is connected on our page, which knows who is in front of it: the address of the authorization
 * server, sent to somebody else, would make their account this person's (MCP, "Phishing", of URL elicitation).
 *
 * @returns what is answered; undefined: it is begun here and now, by somebody who may @throws Fault `forbidden`
 */
export async function connectOnPage(
  deps: { readonly grants: Pick<Grants, 'awaitGiven'>; readonly pages: ConnectPages },
  { principal, access }: Call,
  { key, server, spec }: Own,
): Promise<object | undefined> {
  if (principal.kind !== 'user' || key.holder !== principal.key || deps.pages.isLocal()) return undefined
  const isTheirs = spec?.auth?.grant === key.name && isEachPersons(spec.auth.whose)
  const page =
    server === undefined || spec === undefined || !isTheirs
      ? undefined
      : await deps.pages.link(server, key.holder)
  if (page === undefined || spec === undefined) {
    access.demand({ verb: 'create', kind: 'grants', name: key.name })
    return undefined
  }
  return {
    attempt: await deps.grants.awaitGiven(key, principal.key),
    authorizeUrl: page,
    redirectUri: `${deps.pages.callback()}/oauth/callback/${readGrantId(key.name).qualifier ?? ''}`,
    issuer: new URL(page).origin,
    scopes: [],
    from: {},
    name: key.name,
    usedByServer: true,
  }
}
