import { expect, test } from 'vitest'
import { readMessage } from '../message.ts'
import { splice } from '../splice.ts'
import { exposeResultUris, toolPagePlaces, stringIn } from './result-uris.ts'

const exposed = (result: unknown): unknown => {
  const read = readMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, result })), 'upstream')
  if (!read.ok) throw new Error(read.error)
  const edits = exposeResultUris(read.value, (uri) => (uri.startsWith('ui:') ? `${uri}#` : uri))
  return (JSON.parse(splice(read.value.bytes, edits).toString()) as { result: unknown }).result
}

const link = (uri: unknown) => ({ type: 'resource_link', name: 'n', uri })
const embedded = (uri: unknown) => ({ type: 'resource', resource: { uri, text: 'ui://x' }, annotations: {} })
const message = (content: unknown) => ({ role: 'user', content })

// oxfmt-ignore
test.each([
  ['links of a tool',             { content: [link('ui://x'), link('a://x')] },            { content: [link('ui://x#'), link('a://x')] }],
  ['embedded resources',          { content: [embedded('ui://x')] },                       { content: [embedded('ui://x#')] }],
  ['links of a prompt',           { messages: [message(link('ui://x'))] },                 { messages: [message(link('ui://x#'))] }],
  ['content in an array',         { messages: [message([embedded('ui://x')])] },           { messages: [message([embedded('ui://x#')])] }],
  ['what was read',               { contents: [{ uri: 'ui://x', text: 'ui://x' }] },       { contents: [{ uri: 'ui://x#', text: 'ui://x' }] }],
  ['the page of an app',          { content: [], _meta: { ui: { resourceUri: 'ui://x' } } }, { content: [], _meta: { ui: { resourceUri: 'ui://x#' } } }],
  ['the page in its older form',  { content: [], _meta: { 'ui/resourceUri': 'ui://x' } },  { content: [], _meta: { 'ui/resourceUri': 'ui://x#' } }],
  ['a task that is done',         { status: 'completed', result: { content: [link('ui://x')] } }, { status: 'completed', result: { content: [link('ui://x#')] } }],
])('%s', (_, before, after) => {
  expect(exposed(before)).toEqual(after)
})

// oxfmt-ignore
test.each([
  ['text',                { content: [{ type: 'text', text: 'ui://x', uri: 'ui://x' }] }],
  ['structured content',  { content: [], structuredContent: { uri: 'ui://x', content: [link('ui://x')] } }],
  ['what is no string',   { content: [link(1), embedded(null), null, 'ui://x'], contents: [3], messages: {}, _meta: 1 }],
  ['what is no result',   'ui://x'],
])('%s stays as it is', (_, result) => {
  expect(exposed(result)).toEqual(result)
})

test('the page of a listed tool, in both forms', () => {
  const item = Buffer.from(
    '{"name":"ui/resourceUri","_meta":{"ui":{"resourceUri":"ui:\\/\\/a"},"ui/resourceUri":"ui://b"}}',
  )
  expect(toolPagePlaces(item).map((place) => stringIn(item, place))).toEqual(['ui://a', 'ui://b'])
  expect(toolPagePlaces(Buffer.from('{"name":"a","_meta":{"ui":true}}'))).toEqual([])
})
