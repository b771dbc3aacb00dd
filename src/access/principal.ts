import type { Subject } from '../kinds/subject.ts'

/** Who is calling. Always passed on explicitly; there is no current or default principal (law 3). */
export type Principal = LocalAdmin | UserPrincipal | TokenPrincipal | SubjectPrincipal

/** The holder of the 0600 credential file in the home: whoever may read the daemon's home may administer it. */
export interface LocalAdmin {
  readonly kind: 'local-admin'
  /** Identity in records, caches and session bindings. */
  readonly key: 'local-admin'
  readonly name: 'local-admin'
}

/** A person who has signed in. */
export interface UserPrincipal {
  readonly kind: 'user'
  /** `user:<uid>` */
  readonly key: `user:${string}`
  readonly uid: string
  readonly name: string
  /** Uid of the SignIn whose credential was shown. */
  readonly signIn: string
  /** SHA-256 of that credential, lower-case hex. */
  readonly digest: string
}

export interface TokenPrincipal {
  readonly kind: 'token'
  /** `token:<uid>` */
  readonly key: `token:${string}`
  readonly uid: string
  readonly name: string
  /** The only project it may touch. */
  readonly project: string
  /** Whose it is; undefined: the administrator of the host. */
  readonly owner: TokenOwner | undefined
  /** SHA-256 of the credential, lower-case hex. */
  readonly digest: string
}

export interface TokenOwner {
  readonly kind: 'User' | 'ServiceAccount'
  readonly name: string
}

/** A subject that somebody else acts as. */
export interface SubjectPrincipal {
  readonly kind: 'subject'
  /** `as:User:ada` */
  readonly key: `as:${string}`
  readonly name: string
  readonly subject: Subject
  /** Who it is in truth. */
  readonly actor: LocalAdmin | UserPrincipal
}

/** What the record says of a principal: `audit/entry.ts` has the meaning of each. */
export interface Who {
  readonly principal: string
  readonly principalName: string
  readonly user?: string | undefined
  readonly token?: string | undefined
  readonly tokenSha?: string | undefined
  readonly actor?: string | undefined
}

/** Principals are immutable, and the same one calls again and again. */
const known = new WeakMap<Principal, Who>()

export function whoIs(principal: Principal): Who {
  let who = known.get(principal)
  if (who === undefined) {
    who = describe(principal)
    known.set(principal, who)
  }
  return who
}

function describe(principal: Principal): Who {
  const { key, name } = principal
  const who = { principal: key, principalName: name }
  if (principal.kind === 'local-admin') return who
  if (principal.kind === 'user') return { ...who, user: name }
  if (principal.kind === 'subject') {
    const { subject, actor } = principal
    return { ...who, user: subject.kind === 'User' ? subject.name : undefined, actor: actor.key }
  }
  const { owner, digest } = principal
  return { ...who, user: owner?.kind === 'User' ? owner.name : undefined, token: name, tokenSha: digest }
}
