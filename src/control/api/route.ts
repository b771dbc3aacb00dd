import type { Permission, Verb } from '../../access/permission.ts'
import type { Principal } from '../../access/principal.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Fault, toHttp } from '../../lib/fault.ts'
import { nearest } from '../../lib/nearest.ts'
import type { CallAccess } from './call-access.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What a handler gets: the request after authentication and authorization. */
export interface Call {
  readonly request: Request
  readonly principal: Principal
  /** What the principal may do; the route's own permission has been checked. */
  readonly access: CallAccess
  /** Where the request comes from: an address without its port. */
  readonly source: string
  /** Of the route's path, decoded: `name`, `word`. */
  readonly params: Readonly<Record<string, string>>
  /** Of those that the route declares; others have been refused. */
  readonly query: Readonly<Record<string, string>>
}

/** On a route with `{word}`, the kind that it stands for. */
export interface KindCall extends Call {
  readonly definition: KindDefinition
}

interface RouteBase {
  readonly method: Method
  /** `/api/v1/audit`; `{word}` and `{name}` stand for one segment. */
  readonly path: string
  /** For the OpenAPI document. */
  readonly summary: string
  /** Names of the query parameters that are taken, each with what it is for. */
  readonly query?: Readonly<Record<string, string>>
  /** Names of the headers that make a difference, each with what it is for. */
  readonly headers?: Readonly<Record<string, string>>
  readonly takesBody?: boolean
  /** Status and media types of a good answer. */
  readonly answer: { readonly status: number; readonly types: readonly string[] }
}

/** `signed-in`: for whoever is known, about themselves or about nothing in particular. */
export type RoutePermission = Permission | { readonly use: 'signed-in' }

/** A route on one fixed thing. */
export interface FixedRoute extends RouteBase {
  readonly permission: RoutePermission
  readonly handle: (call: Call) => Promise<Response> | Response
}

/** A route that is there to find out who somebody is, so nobody has been authenticated yet. */
export interface PublicRoute extends RouteBase {
  readonly permission: { readonly use: 'public' }
  readonly handlePublic: (call: Omit<Call, 'principal' | 'access'>) => Promise<Response> | Response
}

/** A route on any kind: what is needed is the verb on that kind. */
export interface KindRoute extends RouteBase {
  readonly permission: { readonly verb: Verb; readonly kind: '{word}' }
  readonly handleKind: (call: KindCall) => Promise<Response> | Response
}

export type Route = FixedRoute | KindRoute | PublicRoute

export const isKindRoute = (route: Route): route is KindRoute => 'handleKind' in route
export const isPublicRoute = (route: Route): route is PublicRoute => 'handlePublic' in route

/** @throws Fault `invalid` for a parameter that the route does not have: a misspelt one must not be ignored */
export function readQuery(url: URL, route: Route): Readonly<Record<string, string>> {
  const known = Object.keys(route.query ?? {})
  const query: Record<string, string> = {}
  for (const [name, value] of url.searchParams) {
    if (!known.includes(name)) {
      const meant = nearest(name, known)
      const taken = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`
      throw new Fault('invalid', {
        problems: ['the address has a query parameter that is not known here'],
        hint: meant === undefined ? taken : `did you mean ${meant}?`,
      })
    }
    query[name] = value
  }
  return query
}

/** @throws Fault `invalid` */
export function oneOf<const T extends string>(
  name: string,
  value: string | undefined,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === value)
  if (found !== undefined) return found
  throw new Fault('invalid', { problems: [`${name}: must be one of ${choices.join(', ')}`] })
}

/** @throws Fault `invalid` */
export function wholeNumber(
  name: string,
  value: string | undefined,
  range: { max: number; fallback: number },
): number {
  if (value === undefined) return range.fallback
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
  if (number <= range.max) return number
  throw new Fault('invalid', { problems: [`${name}: must be a whole number up to ${range.max}`] })
}

/** @throws Fault `invalid` */
export const flag = (name: string, value: string | undefined): boolean =>
  oneOf(name, value ?? 'false', ['true', 'false']) === 'true'

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

export const json = (value: unknown, status = 200): Response =>
  new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { ...HEADERS, 'content-type': 'application/json' },
  })

/** A refusal as problem details (RFC 9457). */
export function problem(fault: Fault): Response {
  const { status, type, headers, body } = toHttp(fault)
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { ...HEADERS, ...headers, 'content-type': type },
  })
}

export const text = (
  value: string | ReadableStream<Uint8Array>,
  type = 'text/plain; charset=utf-8',
): Response => new Response(value, { headers: { ...HEADERS, 'content-type': type } })
