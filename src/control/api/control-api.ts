import { Hono, type Context } from 'hono'
import { authorize, type Permission } from '../../access/authorize.ts'
import { toFault, type Authenticator } from '../../access/authenticate.ts'
import type { Principal } from '../../access/principal.ts'
import { KINDS } from '../../kinds/registry.ts'
import { asFault, Fault, toHttp } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import { auditRoutes, type AuditRouteDeps } from './audit-routes.ts'
import { applyRoute, changeRoutes, type ChangeRouteDeps } from './change-routes.ts'
import { daemonRoutes, type DaemonRouteDeps } from './daemon-routes.ts'
import { kindFor } from './find.ts'
import { grantRoutes, type GrantRouteDeps } from './grant-routes.ts'
import { kindInfoRoutes } from './kind-info-routes.ts'
import { readRoutes } from './read-routes.ts'
import { createApiRecord, type ApiRecord, type ApiRecordDeps } from './record.ts'
import { isKindRoute, json, readQuery, type Call, type Route } from './route.ts'

export interface ControlApiDeps
  extends Omit<DaemonRouteDeps, 'record'>, AuditRouteDeps, Pick<GrantRouteDeps, 'grants'>, ApiRecordDeps {
  readonly changes: ChangeRouteDeps['changes']
  readonly authenticator: Authenticator
  readonly log: Log
}

interface Caller {
  /** Where the request comes from, for counting refusals: an address without its port. */
  readonly source: string
}

export interface ControlApi {
  /** Everything below `/api/v1/`. Never rejects. */
  fetch(request: Request, caller: Caller): Promise<Response>
}

/** The routes of the control API, in the order in which they are tried. */
export function controlRoutes(deps: ControlApiDeps, record: ApiRecord): readonly Route[] {
  const all = { ...deps, record }
  const routes: readonly Route[] = [
    ...kindInfoRoutes(() => routes, deps.version.version),
    ...daemonRoutes(all),
    ...auditRoutes(all),
    ...grantRoutes(all),
    applyRoute(all),
    ...readRoutes(all).toSorted(
      (a, b) => Number(b.path.includes('/names/')) - Number(a.path.includes('/names/')),
    ),
    ...changeRoutes(all),
  ]
  return routes
}

/**
 * The control API as one function from request to response.
 *
 * @throws TypeError when a route declares no permission, or a kind has the name of another address
 */
export function createControlApi(deps: ControlApiDeps): ControlApi {
  const record = createApiRecord(deps)
  const routes = controlRoutes(deps, record)
  checkRoutes(routes)
  const app = new Hono<{ Bindings: Caller }>()
  for (const route of routes) {
    app.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ':$1'), (context) =>
      serve({ deps, record }, route, context),
    )
  }
  app.notFound((context) => serveUnknown({ deps, record }, context))
  app.onError((thrown) => refuse(deps.log, thrown))
  return { fetch: async (request, caller) => app.fetch(request, caller) }
}

/** A route without a permission must not start (law 2), and two meanings of one address would hide one of them. */
export function checkRoutes(routes: readonly Route[]): void {
  for (const route of routes) {
    const { permission } = route as { permission?: Permission }
    if (permission === undefined) throw new TypeError(`${route.method} ${route.path} declares no permission`)
  }
  const fixed = new Set(routes.map(({ path }) => path.split('/')[3] ?? ''))
  for (const { plural, short, kind } of KINDS) {
    const taken = [plural, kind.toLowerCase(), ...short].find((word) => fixed.has(word) && word !== 'servers')
    if (taken !== undefined) throw new TypeError(`the word ${taken} of ${kind} is another address of the API`)
  }
}

interface Serving {
  readonly deps: ControlApiDeps
  readonly record: ApiRecord
}

type ApiContext = Context<{ Bindings: Caller }>

async function serve(serving: Serving, route: Route, context: ApiContext): Promise<Response> {
  const principal = identify(serving, context)
  const call: Call = {
    request: context.req.raw,
    principal,
    params: context.req.param(),
    query: readQuery(new URL(context.req.url), route),
  }
  if (!isKindRoute(route)) {
    permit(serving, principal, route.permission)
    return route.handle(call)
  }
  const definition = kindFor(call.params['word'] ?? '')
  permit(serving, principal, { verb: route.permission.verb, kind: definition.plural })
  return route.handleKind({ ...call, definition })
}

/** Which addresses exist is told only to those who are known. */
function serveUnknown(serving: Serving, context: ApiContext): Response {
  try {
    identify(serving, context)
    throw new Fault('no_endpoint', { hint: '/api/v1/openapi.json lists what there is' })
  } catch (thrown) {
    return refuse(serving.deps.log, thrown)
  }
}

function identify({ deps, record }: Serving, context: ApiContext): Principal {
  const result = deps.authenticator.authenticate(context.req.header('authorization'))
  if (result.ok) return result.value
  record.unauthenticated(context.env.source, result.error.reason)
  throw toFault(result.error)
}

function permit({ record }: Serving, principal: Principal, permission: Permission): void {
  const denial = authorize(principal, permission)
  if (denial === undefined) return
  if (!('use' in permission)) record.denied(principal, permission, denial.reason)
  throw new Fault('forbidden', {
    hint: 'the control API takes the admin credential; a project token is for its MCP endpoint',
    detail: denial,
  })
}

function refuse(log: Log, thrown: unknown): Response {
  const fault = asFault(thrown)
  if (fault.code === 'internal') log.error({ err: thrown }, 'the control API met a bug')
  const { status, body } = toHttp(fault)
  const response = json(body, status)
  if (status === 401) response.headers.set('www-authenticate', 'Bearer')
  return response
}
