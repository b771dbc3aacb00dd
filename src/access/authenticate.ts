import { hash, timingSafeEqual } from 'node:crypto'
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/clock.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { OwnerEntry } from './access-view.ts'
import type { LocalAdmin, Principal, TokenOwner, UserPrincipal } from './principal.ts'

/** What is known of a Token, without its secret. */
export interface TokenEntry {
  readonly kind: 'token'
  readonly uid: string
  readonly name: string
  readonly project: string
  /** Absent: it never expires. */
  readonly expiresAtMs?: number | undefined
  readonly revoked: boolean
  readonly owner: (TokenOwner & { readonly uid: string }) | undefined
}

/** A user who is signed in, without the credential. */
export interface SignInEntry {
  readonly kind: 'sign-in'
  readonly uid: string
  readonly user: { readonly name: string; readonly uid: string }
  readonly expiresAtMs: number
}

/** What was issued, as it is now: a change is visible in the next call, so nothing here is cached. */
export interface CredentialTable {
  /** @param digest SHA-256 of the whole credential, as lower-case hex */
  byDigest(digest: string): TokenEntry | SignInEntry | undefined
  owner(owner: TokenOwner): OwnerEntry | undefined
}

/** Why a credential was refused: for the record only. The public answer is the same for all of them. */
type AuthRefusalReason =
  | 'no-credential'
  | 'malformed'
  | 'unset-variable'
  | 'unknown'
  | 'expired'
  | 'revoked'
  | 'owner-gone'
  /** Whoever knows the answer could not be asked: the caller is refused, and nothing is said of the credential. */
  | 'unavailable'

export interface AuthRefusal {
  readonly reason: AuthRefusalReason
}

export interface Authenticator {
  /**
   * @param authorization the Authorization header as it came
   * @param connection what the request came on: the digest of a credential that is repeated on it is made once.
   *   Whether the token is good is looked up every time.
   */
  authenticate(authorization: string | undefined, connection?: object): Result<Principal, AuthRefusal>
  /**
   * Where others have to be asked who a caller is: does so, if what is known of them does not do. Never rejects.
   * @returns undefined: there is nothing to wait for
   */
  readonly prepare?: (
    authorization: string | undefined,
    about: { readonly project: string; readonly connection: object },
  ) => Promise<void> | undefined
}

export interface AuthenticatorDeps {
  readonly credentials: CredentialTable
  /** SHA-256 of the local admin credential, raw. */
  readonly admin: { readonly digest: Uint8Array }
  readonly clock: Clock
}

const LOCAL_ADMIN: Result<Principal, AuthRefusal> = ok({
  kind: 'local-admin',
  key: 'local-admin',
  name: 'local-admin',
} satisfies LocalAdmin)

const refuse = (reason: AuthRefusalReason): Result<Principal, AuthRefusal> => err({ reason })
const REFUSED = {
  none: refuse('no-credential'),
  malformed: refuse('malformed'),
  unset: refuse('unset-variable'),
  unknown: refuse('unknown'),
  expired: refuse('expired'),
  revoked: refuse('revoked'),
  ownerGone: refuse('owner-gone'),
} as const

/**
 * RFC 6750 section 2.1, narrowed to the credentials that we issue, a prefix and 256 bits in base64url: `cst_` of a
 * Token, `css_` of a sign-in, `csa_` of the administrator of the host.
 */
const CREDENTIAL = /^bearer +(cs[ast]_[A-Za-z0-9_-]{43})$/i
/**
 * What agents send when the variable that should hold the credential is not set: nothing at all after the scheme, or
 * the placeholder as it was written (`${TOKEN}`, `$TOKEN`, `${env:TOKEN}`).
 */
const UNSET = /^(?:bearer *)?(?:\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*)?$/i

/** The credential in an Authorization header, of whatever kind; undefined: there is none of ours. */
export const credentialIn = (authorization: string | undefined): string | undefined =>
  authorization === undefined ? undefined : CREDENTIAL.exec(authorization)?.[1]

/** What was wrong with a header that holds none. */
export function withoutCredential(authorization: string | undefined): Result<Principal, AuthRefusal> {
  if (authorization === undefined || authorization === '') return REFUSED.none
  return UNSET.test(authorization) ? REFUSED.unset : REFUSED.malformed
}

/**
 * The only authenticator (law 2). It runs on every request: one hash, one look-up, one small object.
 *
 * Tokens are found by the digest of 256 random bits: the time a look-up takes says nothing that helps to guess one.
 * The admin credential is compared in constant time.
 */
export function createAuthenticator({ credentials, admin, clock }: AuthenticatorDeps): Authenticator {
  function authenticateAdmin(credential: string): Result<Principal, AuthRefusal> {
    const digest = hash('sha256', credential, 'buffer')
    return timingSafeEqual(digest, admin.digest) ? LOCAL_ADMIN : REFUSED.unknown
  }

  const digests = new WeakMap<object, { readonly credential: string; readonly digest: string }>()

  function digestOf(credential: string, connection: object | undefined): string {
    const known = connection === undefined ? undefined : digests.get(connection)
    // Who compares here has sent the first of the two as well, so the time it takes tells nobody anything.
    if (known?.credential === credential) return known.digest
    const digest = hash('sha256', credential, 'hex')
    if (connection !== undefined) digests.set(connection, { credential, digest })
    return digest
  }

  function authenticateIssued(
    credential: string,
    connection: object | undefined,
  ): Result<Principal, AuthRefusal> {
    const digest = digestOf(credential, connection)
    const entry = credentials.byDigest(digest)
    if (entry === undefined) return REFUSED.unknown
    return refusalOf(entry, credentials, clock.nowMs()) ?? principalOf(entry, digest)
  }

  /** An entry is another object as soon as anything in it changes, so what it stands for is worked out once. */
  const principals = new WeakMap<TokenEntry | SignInEntry, Result<Principal, AuthRefusal>>()

  function principalOf(entry: TokenEntry | SignInEntry, digest: string): Result<Principal, AuthRefusal> {
    let principal = principals.get(entry)
    if (principal === undefined) {
      principal = ok(entry.kind === 'token' ? tokenOf(entry, digest) : userOf(entry, digest))
      principals.set(entry, principal)
    }
    return principal
  }

  return {
    authenticate(authorization, connection) {
      const credential = credentialIn(authorization)
      if (credential === undefined) return withoutCredential(authorization)
      if (credential.startsWith('csa_')) return authenticateAdmin(credential)
      return /^cs[st]_/.test(credential) ? authenticateIssued(credential, connection) : REFUSED.malformed
    },
  }
}

/** One public sentence for every refusal: what exactly was wrong goes to the record. */
export const toFault = (refusal: AuthRefusal): Fault =>
  new Fault('unauthenticated', {
    hint: 'send Authorization: Bearer <token>; castellan create token NAME -p PROJECT makes one, castellan login signs in',
    detail: refusal,
  })

/** Why what was issued is worth nothing at this moment; undefined: it is good. */
export function refusalOf(
  entry: TokenEntry | SignInEntry,
  credentials: Pick<CredentialTable, 'owner'>,
  nowMs: number,
): Result<Principal, AuthRefusal> | undefined {
  if (entry.kind === 'token' && entry.revoked) return REFUSED.revoked
  if (entry.expiresAtMs !== undefined && entry.expiresAtMs <= nowMs) return REFUSED.expired
  const owner = entry.kind === 'token' ? entry.owner : { kind: 'User' as const, ...entry.user }
  return owner === undefined || isActiveOwner(credentials, owner) ? undefined : REFUSED.ownerGone
}

/** Whether it is the very one, and not another who was made by the same name since. */
export function isActiveOwner(
  credentials: Pick<CredentialTable, 'owner'>,
  owner: TokenOwner & { readonly uid: string },
): boolean {
  const found = credentials.owner(owner)
  return found !== undefined && found.uid === owner.uid && !found.disabled
}

export function tokenOf({ uid, name, project, owner }: TokenEntry, digest: string): Principal {
  return { kind: 'token', key: `token:${uid}`, uid, name, project, owner, digest }
}

export function userOf({ uid: signIn, user: { uid, name } }: SignInEntry, digest: string): UserPrincipal {
  return { kind: 'user', key: `user:${uid}`, uid, name, signIn, digest }
}
