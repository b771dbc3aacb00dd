import { exposeResultUris } from '../../protocol/bridge/result-uris.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import { splice, type Edit } from '../../protocol/splice.ts'
import { need, type Exchange, type Route } from '../exchange.ts'

/**
 * An answer with everything in it called as it is called on the endpoint. Looked into only where URIs of several servers
 * meet; which ones a server has named is remembered for those who ask for them.
 */
export function exposedReply(x: Exchange, route: Route, reply: Message): Message {
  const renamed = x.kind === 'resources/read' && route.key !== route.exposed
  if ((x.uris === undefined && !renamed) || reply.shape !== 'result') return reply
  const { name } = route.server
  const renames = x.uris?.of(name)
  if (renames === undefined && !renamed && !reply.bytes.includes('"uri"')) return reply
  const { links } = need(x.project, 'project')
  const edits = exposeResultUris(reply, (uri) => {
    links.saw(name, uri)
    // Also when nothing of the same URI is known at present: what was asked for is what is answered.
    return renamed && uri === route.key ? route.exposed : (renames?.expose(uri) ?? uri)
  })
  return edited(reply, edits)
}

function edited(reply: Message, edits: readonly Edit[]): Message {
  if (edits.length === 0) return reply
  const read = readMessage(splice(reply.bytes, edits), 'upstream')
  return read.ok ? read.value : reply
}
