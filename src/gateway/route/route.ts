import { TASKS_KEY } from '../../protocol/envelope.ts'
import { hasDeclined } from '../../protocol/bridge/input-required.ts'
import { exposedName, serverOf } from '../../protocol/exposed-name.ts'
import { ownUri } from '../../protocol/server-uri.ts'
import { hasPath, spanOf, stringAt, type Message, type Span } from '../../protocol/message.ts'
import { hearingCancel } from '../forward/calls-in-flight.ts'
import type { Pool, Scope } from '../forward/pool.ts'
import type { UpstreamFailure, UpstreamInfo } from '../forward/upstream.ts'
import { need, type Exchange, type Refusal, type Route } from '../exchange.ts'
import type { ServerView } from '../snapshot.ts'
import type { ConnectDesk } from '../connections.ts'
import type { Catalog, ServerList } from './catalog.ts'
import { CONNECT_TOOL } from './connect-tool.ts'
import type { CompiledProject } from './compiled-project.ts'
import type { ListKind } from './listed-item.ts'
import type { UriTable } from './project-uris.ts'
import { locateResource } from './resource-table.ts'
import type { TaskHandles } from './task-handles.ts'

export interface RouteDeps {
  readonly catalog: Catalog
  readonly uris: UriTable
  readonly tasks: TaskHandles
  readonly pool: Pick<Pool, 'health'>
  readonly desk: Pick<ConnectDesk, 'connected'>
}

export const scopeOf = (x: Exchange): Scope => ({
  principal: need(x.principal, 'principal').key,
  session: x.session?.id,
  offer: x.offer,
})

/** The servers that an endpoint stands for: those of the project that the caller may use any of, or the one it names. */
export function endpointServers(x: Exchange): readonly ServerView[] {
  const project = need(x.project, 'project')
  const access = need(x.access, 'access')
  const { servers } = project.view
  if (x.target.server === undefined)
    return access.all ? servers : servers.filter(({ name }) => access.reaches(name))
  const only = project.servers.get(x.target.server)
  return only === undefined ? [] : [only]
}

/** Those of an endpoint whose resources the caller may use. */
export function resourceServers(x: Exchange): readonly ServerView[] {
  const access = need(x.access, 'access')
  const servers = endpointServers(x)
  return access.all ? servers : servers.filter(({ name }) => access.server(name))
}

/** Whether URIs can have been told apart on the endpoint, since it stands for several servers. */
export const tellsApart = (x: Exchange): boolean =>
  x.target.server === undefined && need(x.project, 'project').view.servers.length > 1

const isRefusal = (found: Route | Refusal): found is Refusal => 'code' in found

/** The step `route` for requests that go to one server. */
export function createRoute(
  deps: RouteDeps,
): (x: Exchange) => Refusal | undefined | Promise<Refusal | undefined> {
  const { uris } = deps
  const settle = (x: Exchange, found: Route | Refusal): Refusal | undefined => {
    if (isRefusal(found)) return found
    if (tellsApart(x)) x.uris = uris.known(need(x.project, 'project'), scopeOf(x))
    x.route = found
    return undefined
  }
  return (x) => {
    const message = need(x.message, 'message')
    if (message.method.startsWith('tasks/')) return settle(x, byTask(deps, x, message))
    const named = namedPart(message)
    if ('code' in named) return named
    if (named.list === 'resources')
      return hearingCancel(x, byUri(deps.catalog, x, named)).then((found) => settle(x, found))
    const found = byName(deps, x, named)
    return found instanceof Promise
      ? hearingCancel(x, found).then((route) => settle(x, route))
      : settle(x, found)
  }
}

interface Named {
  readonly list: 'tools' | 'prompts' | 'resources'
  readonly key: string
  readonly at: Span
}

/** Which part of the body says where the request goes. */
function namedPart(message: Message): Named | Refusal {
  if (message.method === 'completion/complete') {
    return stringAt(message, 'params/ref/type') === 'ref/prompt'
      ? part(message, 'prompts', 'params/ref/name')
      : part(message, 'resources', 'params/ref/uri')
  }
  if (message.method === 'tools/call') return part(message, 'tools', 'params/name')
  if (message.method === 'prompts/get') return part(message, 'prompts', 'params/name')
  return part(message, 'resources', 'params/uri')
}

function part(
  message: Message,
  list: Named['list'],
  path: 'params/name' | 'params/uri' | 'params/ref/name' | 'params/ref/uri',
): Named | Refusal {
  const at = spanOf(message, path)
  const key = stringAt(message, path)
  if (at === undefined || key === undefined || key === '') {
    return { code: 'invalid', problems: [`${path.replaceAll('/', '.')} must be a string that is not empty`] }
  }
  return { list, key, at }
}

function byName(deps: RouteDeps, x: Exchange, named: Named): Route | Refusal | Promise<Route | Refusal> {
  const project = need(x.project, 'project')
  const name = x.target.server ?? serverOf(named.key)
  const server = name === undefined ? undefined : project.servers.get(name)
  if (server === undefined) return unknownName(named.list)
  // What the record says of it is not what the caller hears.
  if (!mayKnow(x, named.list, server))
    return Object.assign({ detail: `no right on ${server.name}` }, unknownName(named.list))
  const scope = scopeOf(x)
  const list = deps.catalog.peek(server, scope, named.list)
  const route = list === undefined ? undefined : inList(x, server, list, named)
  if (route !== undefined && !isStandIn(list, route)) return route
  return lookAgain(deps, x, server, named)
}

function mayKnow(x: Exchange, list: Named['list'], { name }: ServerView): boolean {
  const access = need(x.access, 'access')
  return access.all || (list === 'tools' ? access.reaches(name) : access.server(name))
}

/** The list is not known yet, or does not have the name: it may have grown since. */
async function lookAgain(
  deps: RouteDeps,
  x: Exchange,
  server: ServerView,
  named: Named,
): Promise<Route | Refusal> {
  const scope = scopeOf(x)
  const { catalog, desk } = deps
  const loaded = await catalog.load(server, scope, named.list)
  let list =
    inList(x, server, loaded, named) === undefined ? await catalog.reload(server, scope, named.list) : loaded
  if (list.failure?.connect === true && hasBeenAsked(x) && server.holder !== undefined) {
    // Its client comes back once its user has opened the page, which is before they are done there.
    await desk.connected({ server: server.name, holder: server.holder }, CONNECT_WAIT_MS)
    list = await catalog.reload(server, scope, named.list, true)
  }
  const route = inList(x, server, list, named)
  if (route !== undefined && !isStandIn(list, route)) return route
  if (list.failure?.connect === true) return unconnected(x, server, named, { why: list.failure.message })
  if (list.failure === undefined && named.key === connectName(x, server))
    return unconnected(x, server, named, 'done')
  const elsewhere = standsForMore(server, list) ? unprefixed(x, server, named) : undefined
  if (elsewhere !== undefined) return elsewhere
  return list.failure === undefined ? unknownName(named.list) : upstreamRefusal(server.name, list.failure)
}

/** How long a person may take on the page while their client waits; after that it is asked to come back once more. */
const CONNECT_WAIT_MS = 50_000

function hasBeenAsked({ era, message }: Exchange): boolean {
  const retry = need(message, 'message')
  return era === 'modern' && hasPath(retry, 'params/requestState') && !hasDeclined(retry)
}

/** The one tool that stands for those that nobody knows before an account is connected. */
const isStandIn = (list: ServerList | undefined, route: Route): boolean =>
  list?.failure?.connect === true && route.key === CONNECT_TOOL

/** What another gateway offers of a server that its caller has no account for yet: it knows what to say of any other name. */
const standsForMore = ({ ofOneCaller, holder }: ServerView, { items }: ServerList): boolean =>
  ofOneCaller === true && holder === undefined && items.length === 1 && items[0]?.key === CONNECT_TOOL

function unprefixed(x: Exchange, server: ServerView, { key: named, at }: Named): Route | undefined {
  const prefix = x.target.server === undefined ? exposedName(server.name, '') : ''
  if (!named.startsWith(prefix)) return undefined
  const key = named.slice(prefix.length)
  const edits = prefix === '' ? [] : [{ ...at, text: JSON.stringify(key) }]
  return {
    server,
    others: [],
    key,
    exposed: prefix === '' ? exposedName(server.name, key) : named,
    params: undefined,
    asTask: false,
    edits,
  }
}

const connectName = (x: Exchange, server: ServerView): string =>
  x.target.server === undefined ? exposedName(server.name, CONNECT_TOOL) : CONNECT_TOOL

/** Nothing of it is sent: it is there so that rules and records can speak of what was wanted. */
const unconnected = (
  x: Exchange,
  server: ServerView,
  { key }: Named,
  connect: NonNullable<Route['connect']>,
): Route => ({
  server,
  others: [],
  key,
  exposed: x.target.server === undefined ? key : exposedName(server.name, key),
  params: undefined,
  asTask: false,
  edits: [],
  connect,
})

function inList(x: Exchange, server: ServerView, list: ServerList, named: Named): Route | undefined {
  if (x.target.server === undefined) {
    const item = list.exposed.get(named.key)
    if (item === undefined) return undefined
    return {
      server,
      others: [],
      key: item.key,
      exposed: named.key,
      params: item.params,
      asTask: item.asTask,
      edits: [{ ...named.at, text: JSON.stringify(item.key) }],
    }
  }
  const item = list.byKey.get(named.key)
  if (item === undefined) return undefined
  // Rules speak of names on the aggregated endpoint, also where names go without their prefix.
  const exposed = list.exposedNames.get(item) ?? item.key
  return { server, others: [], key: item.key, exposed, params: item.params, asTask: item.asTask, edits: [] }
}

/** After a server has said that it reads headers by another list than ours. */
export function createReadListAgain({ catalog }: Pick<RouteDeps, 'catalog'>): (x: Exchange) => Promise<void> {
  return async (x) => {
    const route = need(x.route, 'route')
    const list = await catalog.reload(route.server, scopeOf(x), 'tools', true)
    x.route = { ...route, params: list.byKey.get(route.key)?.params }
  }
}

async function byUri(catalog: Catalog, x: Exchange, named: Named): Promise<Route | Refusal> {
  const servers = resourceServers(x)
  const subscribed = x.session?.subscriptions.get(named.key)
  const owner = subscribed === undefined ? undefined : servers.find((server) => server.name === subscribed)
  const { links } = need(x.project, 'project')
  const located =
    owner === undefined
      ? await locateResource({ catalog, links, toldApart: tellsApart(x) }, servers, scopeOf(x), named.key)
      : { servers: [owner], uri: x.target.server === undefined ? ownUri(owner.name, named.key) : named.key }
  const [first, ...others] = located.servers
  if (first === undefined) return { code: 'resource_not_found' }
  return {
    server: first,
    others,
    key: located.uri,
    exposed: named.key,
    params: undefined,
    asTask: false,
    edits: located.uri === named.key ? [] : [{ ...named.at, text: JSON.stringify(located.uri) }],
  }
}

/** To the server that the task is at. Only clients that have said that they know tasks have any (MCP, tasks extension). */
function byTask({ tasks, pool }: RouteDeps, x: Exchange, message: Message): Route | Refusal {
  const at = spanOf(message, 'params/taskId')
  const owner = { principal: need(x.principal, 'principal').key, project: x.target.project }
  const task = tasks.read(owner, stringAt(message, 'params/taskId') ?? '')
  const servers = endpointServers(x)
  const server = servers.find(({ name }) => name === task?.server)
  // After a restart a client may come for its task before anything is known of the server.
  if (server === undefined && !servers.some((one) => givesTasks(pool.health(one).info)))
    return { code: 'method_not_found' }
  if (!x.offer.tasks)
    return { code: 'capability_missing', data: { requiredCapabilities: { extensions: { [TASKS_KEY]: {} } } } }
  if (at === undefined || task === undefined || server === undefined) return UNKNOWN_TASK
  return {
    server,
    others: [],
    key: task.taskId,
    exposed: task.tool,
    params: undefined,
    asTask: false,
    edits: [{ ...at, text: JSON.stringify(task.taskId) }],
  }
}

/** Legacy servers may name the extension, but what they have are the tasks of 2025-11-25. */
export const givesTasks = (info: UpstreamInfo | undefined): boolean =>
  info?.era === 'modern' && info.capabilities.extensions?.[TASKS_KEY] !== undefined

export const UNKNOWN_TASK: Refusal = {
  code: 'not_found',
  hint: 'params.taskId must be one that this client was given on this endpoint',
}

export const unknownName = (list: ListKind): Refusal => ({
  code: 'not_found',
  hint: list === 'tools' ? 'tools/list says which tools there are' : `${list}/list says which there are`,
})

/** What a client is told when the server behind an endpoint cannot serve it. */
export function upstreamRefusal(server: string, failure: UpstreamFailure): Refusal {
  const code =
    failure.kind === 'timeout'
      ? 'upstream_timeout'
      : failure.kind === 'invalid'
        ? 'upstream_invalid'
        : 'upstream_unreachable'
  const refusal: Refusal = { code, hint: `${server}: ${failure.message}`, detail: failure }
  return failure.connect === true ? { ...refusal, connect: failure.message } : refusal
}

/** The project's rules and the server's own, for one tool. */
export const isOffered = (project: CompiledProject, route: Route): boolean => project.offers(route.exposed)
