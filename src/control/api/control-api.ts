import { Hono, type Context } from 'hono'
import type { Authorizer } from '../../access/authorize.ts'
import type { Permission } from '../../access/permission.ts'
import { toFault, type Authenticator } from '../../access/authenticate.ts'
import type { Principal } from '../../access/principal.ts'
import { findKind, KINDS } from '../../kinds/registry.ts'
import { parseSubject, subjectKey } from '../../kinds/subject.ts'
import { asFault, Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import { withInstances, type InstanceSource } from '../instances/with-instances.ts'
import { attachRoutes } from './attach-routes.ts'
import { auditRoutes, type AuditRouteDeps } from './audit-routes.ts'
import { signedInRoutes, signInRoutes, type AuthRouteDeps } from './auth-routes.ts'
import { createCallAccess, type CallAccess } from './call-access.ts'
import { accessRoutes } from './access-routes.ts'
import { applyRoute, changeRoutes, type ChangeRouteDeps } from './change-routes.ts'
import { daemonRoutes, type DaemonRouteDeps } from './daemon-routes.ts'
import { edgeRoutes } from './edge-routes.ts'
import { kindFor } from './find.ts'
import { giveRoutes } from './grants/give-routes.ts'
import { grantRoutes, type GrantRouteDeps } from './grants/grant-routes.ts'
import { revealGrantRoute } from './grants/reveal-grant.ts'
import { keyRoutes, type KeyRouteDeps } from './keys-routes.ts'
import { introspectRoutes, type IntrospectDeps } from './introspect-routes.ts'
import { instanceRoutes } from './instance-routes.ts'
import { faultRoute, kindInfoRoutes } from './kind-info-routes.ts'
import { readRoutes } from './read-routes.ts'
import { createApiRecord, type ApiRecord, type ApiRecordDeps } from './record.ts'
import { revealRoute, type RevealDeps } from './reveal-route.ts'
import {
  isKindRoute,
  isPublicRoute,
  problem,
  readQuery,
  type Call,
  type Route,
  type RoutePermission,
} from './route.ts'
import type { WatchDeps } from './watch/watch-kind.ts'

export interface ControlApiDeps
  extends
    Omit<DaemonRouteDeps, 'record' | 'grants'>,
    AuditRouteDeps,
    Pick<GrantRouteDeps, 'grants' | 'providers' | 'tester' | 'pages'>,
    ApiRecordDeps {
  readonly changes: ChangeRouteDeps['changes']
  readonly keys: KeyRouteDeps['keys']
  readonly signIns: AuthRouteDeps['signIns']
  readonly answers: ChangeRouteDeps['answers']
  readonly authenticator: Authenticator
  readonly backends: RevealDeps['backends']
  readonly instances: InstanceSource
  readonly authorizer: Authorizer
  readonly snapshot: DaemonRouteDeps['snapshot'] & IntrospectDeps['snapshot'] & WatchDeps['snapshot']
  readonly ending?: WatchDeps['ending']
  readonly log: Log
}

interface Caller {
  /** Where the request comes from, for counting refusals: an address without its port. */
  readonly source: string
}

export interface ControlApi {
  /** Everything below `/api/v1/`. Never rejects. */
  fetch(request: Request, caller: Caller): Promise<Response>
  /** Its record, for what people do on pages: the ids of two would collide. */
  readonly record: ApiRecord
}

/** The routes of the control API, in the order in which they are tried. */
export function controlRoutes(deps: ControlApiDeps, record: ApiRecord): readonly Route[] {
  const all = { ...deps, record }
  const routes: readonly Route[] = [
    ...kindInfoRoutes(() => routes, deps.version.version),
    faultRoute,
    ...daemonRoutes(all),
    ...auditRoutes(all),
    ...grantRoutes(all),
    ...giveRoutes(all),
    revealGrantRoute(all),
    ...keyRoutes(all),
    ...accessRoutes(all),
    ...signInRoutes(all),
    ...signedInRoutes(all),
    ...introspectRoutes(all),
    ...edgeRoutes(all),
    ...attachRoutes(all),
    revealRoute(all),
    applyRoute(all),
    ...readRoutes(all).toSorted(
      (a, b) => Number(b.path.includes('/names/')) - Number(a.path.includes('/names/')),
    ),
    ...instanceRoutes(all),
    ...changeRoutes(all),
  ]
  return routes
}

/**
 * The control API as one function from request to response.
 *
 * @throws TypeError when a route declares no permission, or a kind has the name of another address
 */
export function createControlApi(given: ControlApiDeps): ControlApi {
  const deps = withInstances(given)
  const record = createApiRecord(deps)
  const routes = controlRoutes(deps, record)
  checkRoutes(routes)
  const app = new Hono<{ Bindings: Caller }>()
  for (const route of routes) {
    app.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ':$1'), (context) =>
      serve({ deps, record }, route, context),
    )
  }
  app.notFound((context) => serveUnknown({ deps, record }, routes, context))
  app.onError((thrown) => refuse(deps.log, thrown))
  return { fetch: async (request, caller) => app.fetch(request, caller), record }
}

/** Kinds below which there are addresses of their own. */
const BESIDE_KIND: ReadonlySet<string> = new Set([
  'servers',
  'instances',
  'projects',
  'secrets',
  'tokens',
  'users',
])

/** A route without a permission must not start (law 2), and two meanings of one address would hide one of them. */
export function checkRoutes(routes: readonly Route[]): void {
  for (const route of routes) {
    const { permission } = route as { permission?: Permission }
    if (permission === undefined) throw new TypeError(`${route.method} ${route.path} declares no permission`)
  }
  const fixed = new Set(routes.map(({ path }) => path.split('/')[3] ?? ''))
  for (const { plural, short, kind } of KINDS) {
    const taken = [plural, kind.toLowerCase(), ...short].find(
      (word) => fixed.has(word) && !BESIDE_KIND.has(word),
    )
    if (taken !== undefined) throw new TypeError(`the word ${taken} of ${kind} is another address of the API`)
  }
}

interface Serving {
  readonly deps: ControlApiDeps
  readonly record: ApiRecord
}

type ApiContext = Context<{ Bindings: Caller }>

async function serve(serving: Serving, route: Route, context: ApiContext): Promise<Response> {
  const asked = {
    request: context.req.raw,
    source: context.env.source,
    params: context.req.param(),
    query: readQuery(new URL(context.req.url), route),
  }
  if (isPublicRoute(route)) return route.handlePublic(asked)
  const call: Call = { ...asked, ...identify(serving, context) }
  if (!isKindRoute(route)) {
    permit(call, route.permission)
    return route.handle(call)
  }
  const definition = kindFor(call.params['word'] ?? '')
  call.access.demandSome({ verb: route.permission.verb, kind: definition.plural })
  return route.handleKind({ ...call, definition })
}

/** Which addresses exist, and what they take, is told only to those who are known. */
function serveUnknown(serving: Serving, routes: readonly Route[], context: ApiContext): Response {
  try {
    identify(serving, context)
  } catch (thrown) {
    return refuse(serving.deps.log, thrown)
  }
  const allowed = methodsAt(routes, context.req.path)
  if (allowed.length === 0)
    return problem(new Fault('no_endpoint', { hint: '/api/v1/openapi.json lists what there is' }))
  const response = problem(new Fault('method_not_allowed', { hint: `it takes ${allowed.join(', ')}` }))
  // RFC 9110 §15.5.6
  response.headers.set('allow', allowed.join(', '))
  return response
}

function methodsAt(routes: readonly Route[], path: string): readonly string[] {
  const taking = routes.filter((route) => {
    const segments = new RegExp(
      `^${route.path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '([^/]+)')}$`,
    ).exec(path)
    return segments !== null && (!isKindRoute(route) || findKind(segments[1] ?? '') !== undefined)
  })
  return [...new Set(taking.map(({ method }) => method))].sort()
}

function identify({ deps, record }: Serving, context: ApiContext): Pick<Call, 'principal' | 'access'> {
  const result = deps.authenticator.authenticate(context.req.header('authorization'))
  if (!result.ok) {
    record.unauthenticated(context.env.source, result.error.reason)
    throw toFault(result.error)
  }
  const as = context.req.header('x-castellan-as')
  const principal = as === undefined ? result.value : actAs({ deps, record }, result.value, as)
  return { principal, access: accessOf({ deps, record }, principal) }
}

const accessOf = ({ deps, record }: Serving, principal: Principal): CallAccess =>
  createCallAccess(
    {
      authorizer: deps.authorizer,
      denied: (permission, reason) => record.denied(principal, permission, reason),
    },
    principal,
  )

/** @throws Fault `forbidden`, `invalid` */
function actAs(serving: Serving, actor: Principal, text: string): Principal {
  accessOf(serving, actor).demand({ operation: 'impersonate' })
  const subject = parseSubject(text)
  if (subject === undefined || actor.kind === 'token' || actor.kind === 'subject')
    throw new Fault('invalid', {
      problems: ['X-Castellan-As: must be a subject, such as User:ada or Token:demo/laptop'],
    })
  return { kind: 'subject', key: `as:${subjectKey(subject)}`, name: subject.name, subject, actor }
}

/** What a route is about can be in its path; then its handler looks once more, with the name. */
function permit({ access }: Call, permission: RoutePermission): void {
  if ('use' in permission) return
  const open = Object.values(permission).some((value) => /^\{\w+\}$/.test(value))
  if (!open) return access.demand(permission)
  access.demandSome(
    'operation' in permission
      ? { operation: permission.operation }
      : { verb: permission.verb, kind: permission.kind },
  )
}

function refuse(log: Log, thrown: unknown): Response {
  const fault = asFault(thrown)
  if (fault.code === 'internal') log.error({ err: thrown }, 'the control API met a bug')
  return problem(fault)
}
