import { exposeResultUris, stringIn } from '../../protocol/bridge/result-uris.ts'
import { members } from '../../protocol/json-spans.ts'
import { rawAt, readMessage, spanOf, type Message } from '../../protocol/message.ts'
import { splice, type Edit } from '../../protocol/splice.ts'
import { need, type Exchange, type Route } from '../exchange.ts'
import type { TaskHandles } from '../route/task-handles.ts'

/** Whether answers are looked into at all: most are not. */
export const isExposed = (x: Exchange): boolean =>
  x.uris !== undefined || x.offer.tasks || x.kind === 'resources/read'

/**
 * An answer with everything in it called as it is called on the endpoint. Looked into only where URIs of several servers
 * meet; which ones a server has named is remembered for those who ask for them.
 */
export function exposedReply(
  x: Exchange,
  { route, tasks }: { readonly route: Route; readonly tasks: TaskHandles },
  reply: Message,
): Message {
  if (reply.shape !== 'result') return reply
  return edited(reply, [
    ...(x.offer.tasks ? taskEdits(x, { route, tasks }, reply) : []),
    ...uriEdits(x, route, reply),
  ])
}

function uriEdits(x: Exchange, route: Route, reply: Message): Edit[] {
  const renamed = x.kind === 'resources/read' && route.key !== route.exposed
  if (x.uris === undefined && !renamed) return []
  const { name } = route.server
  const renames = x.uris?.of(name)
  if (renames === undefined && !renamed && !reply.bytes.includes('"uri"')) return []
  const { links } = need(x.project, 'project')
  return exposeResultUris(reply, (uri) => {
    links.saw(name, uri)
    // Also when nothing of the same URI is known at present: what was asked for is what is answered.
    return renamed && uri === route.key ? route.exposed : (renames?.expose(uri) ?? uri)
  })
}

/** A task is known to its client by what `route` reads again. */
function taskEdits(
  x: Exchange,
  { route, tasks }: { readonly route: Route; readonly tasks: TaskHandles },
  reply: Message,
): Edit[] {
  const isTask =
    x.kind === 'tools/call' ? rawAt(reply, 'result/resultType') === '"task"' : TASK_KINDS.has(x.kind)
  const result = isTask ? spanOf(reply, 'result') : undefined
  const at = result === undefined ? undefined : members(reply.bytes, result).get('taskId')
  const taskId = at === undefined ? undefined : stringIn(reply.bytes, at)
  if (at === undefined || taskId === undefined) return []
  const owner = { principal: need(x.principal, 'principal').key, project: x.target.project }
  const handle = tasks.give(owner, { server: route.server.name, tool: route.exposed, taskId })
  return [{ start: at.start, end: at.end, text: JSON.stringify(handle) }]
}

const TASK_KINDS: ReadonlySet<Exchange['kind']> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel'])

function edited(reply: Message, edits: readonly Edit[]): Message {
  if (edits.length === 0) return reply
  const read = readMessage(splice(reply.bytes, edits), 'upstream')
  return read.ok ? read.value : reply
}
