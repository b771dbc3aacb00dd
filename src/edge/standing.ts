import type { ToolScope } from '../access/project-access.ts'
import type { TokenOwner, TokenPrincipal, UserPrincipal } from '../access/principal.ts'

/** What the control plane says of a credential. */
export type Standing = { readonly active: false } | ActiveStanding

export interface ActiveStanding {
  readonly active: true
  readonly who: Who
  /** From when it was said; absent: it does not end by itself. */
  readonly expiresInMs: number | undefined
  /** What may be used over MCP; absent: nothing. */
  readonly access: { readonly project: string; readonly scopes: readonly ToolScope[] } | undefined
  /** Of the project's configuration, as this caller is served with it. */
  readonly revision: string | undefined
}

type Who =
  | {
      readonly kind: 'token'
      readonly uid: string
      readonly name: string
      readonly project: string
      readonly owner: TokenOwner | undefined
    }
  | { readonly kind: 'sign-in'; readonly uid: string; readonly name: string; readonly signIn: string }

/**
 * Who calls, as the gateway has it.
 *
 * @param digest of the credential; on an edge every sign-in of a person is somebody of its own, since what is fetched
 *   with one of them must not be served to another
 */
export function principalOf(who: Who, digest: string): TokenPrincipal | UserPrincipal {
  const { uid, name } = who
  if (who.kind === 'sign-in')
    return { kind: 'user', key: `user:${uid}/${who.signIn}`, uid, name, signIn: who.signIn, digest }
  return { kind: 'token', key: `token:${uid}`, uid, name, project: who.project, owner: who.owner, digest }
}

type Json = Readonly<Record<string, unknown>>

/**
 * Reads an answer of `GET /api/v1/tokens/introspect`. What is there besides is left alone: a newer control plane may say
 * more.
 *
 * @returns undefined when it is not such an answer: nothing may be concluded from it
 */
export function readStanding(value: unknown): Standing | undefined {
  const said = objectOf(value)
  if (said?.['active'] === false) return { active: false }
  if (said?.['active'] !== true) return undefined
  const who = readWho(said)
  const { expiresInMs, revision } = said
  const access = said['access'] === undefined ? undefined : readAccess(objectOf(said['access']))
  if (who === undefined || access === 'unreadable') return undefined
  if (expiresInMs !== undefined && !(typeof expiresInMs === 'number' && expiresInMs >= 0)) return undefined
  if (access !== undefined && typeof revision !== 'string') return undefined
  return {
    active: true,
    who,
    expiresInMs: typeof expiresInMs === 'number' ? expiresInMs : undefined,
    access,
    revision: typeof revision === 'string' ? revision : undefined,
  }
}

function readWho(said: Json): Who | undefined {
  if (said['kind'] === 'token') {
    const [uid, name, project] = texts(objectOf(said['token']), ['uid', 'name', 'project'])
    const owner = said['owner'] === undefined ? undefined : readOwner(objectOf(said['owner']))
    if (uid === undefined || name === undefined || project === undefined || owner === 'unreadable')
      return undefined
    return { kind: 'token', uid, name, project, owner }
  }
  if (said['kind'] !== 'sign-in') return undefined
  const [uid, name] = texts(objectOf(said['user']), ['uid', 'name'])
  const [signIn] = texts(said, ['signIn'])
  if (uid === undefined || name === undefined || signIn === undefined) return undefined
  return { kind: 'sign-in', uid, name, signIn }
}

function readOwner(owner: Json | undefined): TokenOwner | 'unreadable' {
  const [kind, name] = texts(owner, ['kind', 'name'])
  if ((kind !== 'User' && kind !== 'ServiceAccount') || name === undefined) return 'unreadable'
  return { kind, name }
}

function readAccess(access: Json | undefined): ActiveStanding['access'] | 'unreadable' {
  const [project] = texts(access, ['project'])
  const scopes = access?.['scopes']
  if (project === undefined || !Array.isArray(scopes) || scopes.length === 0) return 'unreadable'
  const read = scopes.map(readScope)
  const whole = read.filter((scope) => scope !== undefined)
  return whole.length === read.length ? { project, scopes: whole } : 'unreadable'
}

function readScope(value: unknown): ToolScope | undefined {
  if (value === 'all') return 'all'
  const { tools, servers } = objectOf(value) ?? {}
  return isTexts(tools) && isTexts(servers) ? { tools, servers } : undefined
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

export const objectOf = (value: unknown): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined

/** Each as it is there; undefined for one that is no text, or is empty. */
export const texts = (from: Json | undefined, names: readonly string[]): readonly (string | undefined)[] =>
  names.map((name) => {
    const value = from?.[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  })
