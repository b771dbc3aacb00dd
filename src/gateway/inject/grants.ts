import type { HttpSpec } from '../../kinds/server.ts'
import type { ServerAuth } from '../../kinds/server-auth.ts'
import type { Result } from '../../lib/result.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { ServerView } from '../snapshot.ts'

/** A grant as a Server names it, for whoever calls. */
export interface WantedGrant {
  /** One text for profile, holder and name. */
  readonly key: string
  readonly profile: string
  /** '': everybody's. */
  readonly holder: string
  readonly name: string
  readonly whose: NonNullable<ServerAuth['whose']>
}

/** For what a grant is wanted: a Server, and the origin that it is at. */
export interface Purpose {
  readonly server: string
  readonly origin: string
}

/** How a server refused a request that carried a grant's credential. */
export interface RefusedGrant {
  readonly used: SecretValue | undefined
  /** HTTP status: 401 or 403. */
  readonly status: number
  /** `WWW-Authenticate`, as it came. */
  readonly challenge: string | undefined
}

/** Why there is nothing to send. */
export interface GrantProblem {
  /** One public sentence that says what to do. */
  readonly message: string
  /** The caller can mend it by connecting an account of their own. */
  readonly connect: boolean
}

/** Where the credentials of grants come from; `main` brings the plane that keeps them. */
export interface GrantSource {
  /** What can be sent to this origin at this moment; undefined: ask `ready`. */
  readonly current: (grant: WantedGrant, origin: string) => SecretValue | undefined
  /** Does what can be done without a person. */
  readonly ready: (grant: WantedGrant, purpose: Purpose) => Promise<Result<SecretValue, GrantProblem>>
  /** @returns ok: send it again, with another; undefined: it was not about the grant */
  readonly refused: (grant: WantedGrant, how: RefusedGrant) => Promise<Result<void, GrantProblem | undefined>>
}

/** One Server's use of one grant. */
export interface GrantUse {
  readonly source: GrantSource
  readonly grant: WantedGrant
  readonly purpose: Purpose
  readonly injection: Injection
  /** Puts it where this server takes it. */
  readonly place: (request: Sent, credential: SecretValue) => Sent
}

/** What the record says of it: whose credential goes to which Server, and where in the request. */
export interface Injection {
  readonly grant: string
  /** '': everybody's. */
  readonly holder: string
  readonly holderName: string | undefined
  readonly server: string
  /** `authorization`, `?api_key` */
  readonly place: string
}

/** What of a request a credential can be put into. */
export interface Sent {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** What a Server over HTTP uses of the grants; undefined where it names none. */
export function grantUse(source: GrantSource, server: ServerView, spec: HttpSpec): GrantUse | undefined {
  const { auth } = spec
  if (auth === undefined) return undefined
  const profile = auth.profile ?? 'default'
  const holder = server.holder ?? ''
  return {
    source,
    grant: {
      key: `${profile}/${holder}/${auth.grant}`,
      profile,
      holder,
      name: auth.grant,
      whose: auth.whose ?? 'shared',
    },
    purpose: { server: server.name, origin: new URL(spec.url).origin },
    injection: {
      grant: auth.grant,
      holder,
      holderName: server.holderName,
      server: server.name,
      place: placeName(auth),
    },
    place: placeFor(auth),
  }
}

/** Where a grant of a Server is sent, for the record: `authorization`, `?api_key`. */
export const placeName = ({ header, query }: ServerAuth): string =>
  query === undefined ? (header ?? 'authorization').toLowerCase() : `?${query}`

function placeFor(auth: ServerAuth): GrantUse['place'] {
  const { query } = auth
  if (query !== undefined)
    return ({ path, headers }, credential) => ({
      path: `${path}${path.includes('?') ? '&' : '?'}${query}=${encodeURIComponent(credential.reveal())}`,
      headers,
    })
  const header = placeName(auth)
  const write = writerFor(auth)
  return ({ path, headers }, credential) => ({
    path,
    headers: { ...headers, [header]: write(credential.reveal()) },
  })
}

function writerFor({ grant, format, prefix }: ServerAuth): (text: string) => string {
  if (prefix !== undefined) return (text) => prefix + text
  switch (format ?? (grant.startsWith('oauth:') ? 'bearer' : 'raw')) {
    // RFC 6750, 2.1
    case 'bearer':
      return (text) => `Bearer ${text}`
    // RFC 7617, 2
    case 'basic':
      return (text) => `Basic ${Buffer.from(text).toString('base64')}`
    default:
      return (text) => text
  }
}
