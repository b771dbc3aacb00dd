import { elements, members, type Member } from '../json-spans.ts'
import { spanOf, type Message, type Span } from '../message.ts'
import type { Edit } from '../splice.ts'

/**
 * Resources that a result names: links and embedded resources in what tools and prompts give, the parts of what was read,
 * and the page that shows a tool (MCP Apps). What stands in structured content or text is the server's own business.
 */

/** @param expose what the client is to call it */
export function exposeResultUris(reply: Message, expose: (uri: string) => string): Edit[] {
  const result = spanOf(reply, 'result')
  if (result === undefined) return []
  const { bytes } = reply
  const own = members(bytes, result)
  // A task that is done has the result of its call within.
  const inner = own.get('result')
  return [own, ...(inner === undefined ? [] : [members(bytes, inner)])]
    .flatMap((one) => resultPlaces(bytes, one))
    .flatMap((place) => exposeAt(bytes, place, expose))
}

/** Where a listed tool names the page that shows it, in the present form and in the one before it. */
export function toolPagePlaces(item: Buffer): Span[] {
  return pagePlaces(item, members(item, { start: 0, end: item.length }).get('_meta'))
}

type Members = ReadonlyMap<string, Member>

function resultPlaces(bytes: Buffer, result: Members): Span[] {
  const contents = within(bytes, result.get('contents')).map((part) => members(bytes, part).get('uri'))
  const messages = within(bytes, result.get('messages')).flatMap((one) => {
    const content = members(bytes, one).get('content')
    return content === undefined ? [] : bytes[content.start] === 0x5b ? elements(bytes, content) : [content]
  })
  return [
    ...contents.filter((place) => place !== undefined),
    ...[...within(bytes, result.get('content')), ...messages].flatMap((part) => partPlaces(bytes, part)),
    ...pagePlaces(bytes, result.get('_meta')),
  ]
}

/** `{type: "resource_link", uri}` and `{type: "resource", resource: {uri}}`. */
function partPlaces(bytes: Buffer, part: Span): Span[] {
  const own = members(bytes, part)
  const type = own.get('type')
  const name = type === undefined ? '' : bytes.toString('latin1', type.start, type.end)
  const embedded = name === '"resource"' ? own.get('resource') : undefined
  const uri =
    name === '"resource_link"'
      ? own.get('uri')
      : embedded === undefined
        ? undefined
        : members(bytes, embedded).get('uri')
  return uri === undefined ? [] : [uri]
}

function pagePlaces(bytes: Buffer, meta: Span | undefined): Span[] {
  if (meta === undefined) return []
  const own = members(bytes, meta)
  const ui = own.get('ui')
  const places = [
    ui === undefined ? undefined : members(bytes, ui).get('resourceUri'),
    own.get('ui/resourceUri'),
  ]
  return places.filter((place) => place !== undefined)
}

const within = (bytes: Buffer, span: Span | undefined): Span[] =>
  span === undefined ? [] : elements(bytes, span)

function exposeAt(bytes: Buffer, place: Span, expose: (uri: string) => string): Edit[] {
  const uri = stringIn(bytes, place)
  if (uri === undefined) return []
  const exposed = expose(uri)
  return exposed === uri ? [] : [{ start: place.start, end: place.end, text: JSON.stringify(exposed) }]
}

/** The string that stands there. */
export const stringIn = (bytes: Buffer, { start, end }: Span): string | undefined =>
  bytes[start] === 0x22 ? (JSON.parse(bytes.toString('utf8', start, end)) as string) : undefined
