import { need, type Exchange, type Refusal } from '../exchange.ts'
import { isOffered, UNKNOWN_TASK, unknownName } from '../route/route.ts'

/**
 * The rules of the project, and the rights of the caller, on one tool, or on what else a server offers. What is not
 * offered does not exist, as far as the caller can tell.
 */
export function authorizeCall(x: Exchange): Refusal | undefined {
  const route = need(x.route, 'route')
  const access = need(x.access, 'access')
  if (ON_TOOLS.has(x.kind)) {
    if (!isOffered(need(x.project, 'project'), route)) return refusal(x.kind, 'denied by spec.tools')
    return access.all || access.tool(route.exposed, route.server.name) ? undefined : refusal(x.kind, NO_RIGHT)
  }
  if (access.all) return undefined
  // A URI does not say whose it is, so several servers may be asked: those that the caller may use.
  const [server, ...others] = [route.server, ...route.others].filter(({ name }) => access.server(name))
  if (server === undefined) return refusal(x.kind, NO_RIGHT)
  x.route = { ...route, server, others }
  return undefined
}

const ON_TOOLS: ReadonlySet<string> = new Set(['tools/call', 'tasks/get', 'tasks/update', 'tasks/cancel'])
const NO_RIGHT = 'no right on it'

/** Word for word what is said of something that is not there; the reason is for the record. */
const refusal = (kind: Exchange['kind'], detail: string): Refusal => Object.assign({ detail }, missing(kind))

function missing(kind: Exchange['kind']): Refusal {
  if (kind === 'tools/call') return unknownName('tools')
  if (kind.startsWith('tasks/')) return UNKNOWN_TASK
  return kind === 'prompts/get' ? unknownName('prompts') : { code: 'resource_not_found' }
}
