import { expect, test } from 'vitest'
import { scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { readOffer } from '../../protocol/client-offer.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import { createExchange, type Exchange, type Kind, type Route } from '../exchange.ts'
import { createLinksSeen } from '../route/links-seen.ts'
import { createTaskHandles } from '../route/task-handles.ts'
import { exposedReply, isExposed } from './exposed-reply.ts'

const tasks = createTaskHandles(Buffer.alloc(32, 1))
const OWNER = { principal: 'token:a', project: 'p' }
const SAME = (uri: string): string => uri

function exchange(kind: Kind, more: Partial<Exchange> = {}): Exchange {
  const x = createExchange({ request: {}, target: { project: 'p', server: undefined } } as never)
  x.kind = kind
  x.principal = { key: OWNER.principal } as never
  x.project = { links: createLinksSeen() } as never
  return Object.assign(x, more)
}

const route = (key: string, exposed = key): Route => ({
  server: scriptedView('one'),
  others: [],
  key,
  exposed,
  params: undefined,
  asTask: false,
  edits: [],
})

const reply = (body: string): Message => {
  const read = readMessage(Buffer.from(`{"jsonrpc":"2.0","id":1,${body}}`), 'upstream')
  if (!read.ok) throw new TypeError(read.error)
  return read.value
}

const renaming = (expose: (uri: string) => string) =>
  ({ of: () => ({ expose, exposeTemplate: SAME }), signature: '' }) as const
const resultOf = (message: Message): unknown =>
  (JSON.parse(message.bytes.toString()) as { result: unknown }).result

test('an answer is the same object where nothing is called otherwise', () => {
  const answer = reply('"result":{"content":[{"type":"resource_link","name":"n","uri":"ui://x"}]}')
  const x = exchange('tools/call', { uris: { of: () => undefined, signature: '' } })
  expect(exposedReply(x, { route: route('echo'), tasks }, answer)).toBe(answer)
  expect(x.project?.links.has('one', 'ui://x')).toBe(true)
  expect(isExposed(exchange('tools/call'))).toBe(false)
})

test('links are called as they are on the endpoint, whatever else is in the answer stays byte for byte', () => {
  const x = exchange('tools/call', { uris: renaming((uri) => uri.replace('ui://', 'ui://one.castellan/')) })
  const answer = reply('"result":{"n":1e400,"content":[{"type":"resource_link","uri":"ui:\\/\\/x"}]}')
  expect(exposedReply(x, { route: route('echo'), tasks }, answer).bytes.toString()).toBe(
    '{"jsonrpc":"2.0","id":1,"result":{"n":1e400,"content":[{"type":"resource_link","uri":"ui://one.castellan/x"}]}}',
  )
})

test('what was read has the URI that it was asked for by, also when it collides with nothing any more', () => {
  const x = exchange('resources/read')
  const answer = reply('"result":{"contents":[{"uri":"ui://x","text":""},{"uri":"ui://y","text":""}]}')
  const to = { route: route('ui://x', 'ui://one.castellan/x'), tasks }
  expect(resultOf(exposedReply(x, to, answer))).toEqual({
    contents: [
      { uri: 'ui://one.castellan/x', text: '' },
      { uri: 'ui://y', text: '' },
    ],
  })
})

test('a task is given to whoever declared that it takes one, under a handle of its own', () => {
  const offer = readOffer('{"extensions":{"io.modelcontextprotocol/tasks":{}}}')
  const handle = tasks.give(OWNER, { server: 'one', tool: 'one__slow', taskId: 't/1' })
  const made = reply('"result":{"resultType":"task","taskId":"t/1","status":"working"}')
  const to = { route: route('slow', 'one__slow'), tasks }
  expect(resultOf(exposedReply(exchange('tools/call', { offer }), to, made))).toEqual({
    resultType: 'task',
    taskId: handle,
    status: 'working',
  })
  const seen = reply(
    '"result":{"resultType":"complete","taskId":"t/1","status":"completed","result":{"taskId":"t/1"}}',
  )
  const later = { route: route('t/1', 'one__slow'), tasks }
  expect(resultOf(exposedReply(exchange('tasks/get', { offer }), later, seen))).toEqual({
    resultType: 'complete',
    taskId: handle,
    status: 'completed',
    result: { taskId: 't/1' },
  })
})

// oxfmt-ignore
test.each([
  ['tools/call',   '"result":{"resultType":"complete","taskId":"t/1"}'],
  ['tools/call',   '"result":{"resultType":"task","taskId":1}'],
  ['tasks/cancel', '"result":{"resultType":"complete"}'],
  ['tasks/get',    '"error":{"code":-32602,"message":"taskId"}'],
] as const)('%s that is answered with %s', (kind, body) => {
  const offer = readOffer('{"extensions":{"io.modelcontextprotocol/tasks":{}}}')
  const answer = reply(body)
  expect(exposedReply(exchange(kind, { offer }), { route: route('slow'), tasks }, answer)).toBe(answer)
})
