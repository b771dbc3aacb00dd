import { afterAll, beforeAll, expect, test } from 'vitest'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import {
  at,
  createToken,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  startGate,
  until,
  type Answer,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/**
 * The extension `io.modelcontextprotocol/tasks` of 2026-07-28, with two modern servers that have it and a legacy one. The
 * scenarios of the conformance suite run on the endpoint of one server; this is about what is the gateway's own.
 */

const TASKS = 'io.modelcontextprotocol/tasks'
const DECLARED = {
  _meta: { 'io.modelcontextprotocol/clientCapabilities': { extensions: { [TASKS]: {} }, elicitation: {} } },
}
const SLOW = { name: 'one__slow_compute', arguments: { seconds: 60, label: 'x' } }

let gate: Gate
const servers: ReferenceServer[] = []

beforeAll(async () => {
  for (const modern of [true, true, false])
    servers.push(await startReferenceServer({ modern, legacy: !modern }))
  const [one, two, old] = servers.map(({ url }) => url)
  gate = await startGate([
    httpServer('one', one ?? ''),
    httpServer('two', two ?? ''),
    httpServer('old', old ?? ''),
    project('p', ['one', 'two', 'old']),
    project('q', ['one']),
    project('strict', ['one'], { tools: { allow: ['one__slow_compute'] } }),
    project('past', ['old']),
  ])
})
afterAll(async () => {
  await gate?.end()
  await Promise.all(servers.map((server) => server.close()))
})

type Ask = (method: string, params?: Json) => Promise<Answer>

async function client(name: string, server?: string, token?: string): Promise<Ask> {
  const access = await gate.access(name, server)
  const caller = modernCaller(token === undefined ? access : { ...access, token })
  return (method, params) => caller.ask(method, { ...params, ...DECLARED })
}

const idOf = ({ reply }: Answer): string => String(at(reply, 'result.taskId'))
const errorOf = ({ status, reply }: Answer): string => `${status} ${String(at(reply, 'error.code'))}`

test('on the endpoint of a project a task is found at the server that it is at', async () => {
  const ask = await client('p')
  expect(at((await ask('server/discover')).reply, 'result.capabilities.extensions')).toEqual({ [TASKS]: {} })
  for (const server of ['one', 'two']) {
    const made = await ask('tools/call', {
      name: `${server}__confirm_delete`,
      arguments: { filename: server },
    })
    expect(at(made.reply, 'result.resultType')).toBe('task')
    const taskId = idOf(made)
    const asks = await ask('tasks/get', { taskId })
    expect(asks.reply['result']).toMatchObject({ taskId, status: 'input_required', resultType: 'complete' })
    const inputResponses = { confirm: { action: 'accept', content: { confirm: true } } }
    expect((await ask('tasks/update', { taskId, inputResponses })).reply['result']).toEqual({
      resultType: 'complete',
    })
    const done = await until('the task is done', async () => {
      const seen = await ask('tasks/get', { taskId })
      return at(seen.reply, 'result.status') === 'completed' ? seen : undefined
    })
    expect(at(done.reply, 'result.result.content.0.text')).toBe(`deleted ${server}`)
  }
})

test('the same task on the endpoint of its server, and nowhere else', async () => {
  const ask = await client('p')
  const taskId = idOf(await ask('tools/call', SLOW))
  const alone = await client('p', 'one')
  expect(at((await alone('tasks/get', { taskId })).reply, 'result.taskId')).toBe(taskId)
  for (const elsewhere of [await client('p', 'two'), await client('q')])
    expect(errorOf(await elsewhere('tasks/get', { taskId }))).toBe('200 -32602')
  expect((await ask('tasks/cancel', { taskId })).reply['result']).toEqual({ resultType: 'complete' })
  expect(at((await ask('tasks/get', { taskId })).reply, 'result.status')).toBe('cancelled')
})

test('a task is nobody else’s, and an id that the server would know is none here', async () => {
  const mine = await client('p')
  const theirs = await client('p', undefined, await createToken(gate.daemon, 'p', 'other'))
  const taskId = idOf(await mine('tools/call', SLOW))
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    expect(errorOf(await theirs(method, { taskId, inputResponses: {} }))).toBe('200 -32602')
    expect(errorOf(await mine(method, { taskId: `${taskId}x`, inputResponses: {} }))).toBe('200 -32602')
  }
  const inner = JSON.parse(Buffer.from(taskId.split('.')[1] ?? '', 'base64url').toString()) as string[]
  expect(errorOf(await mine('tasks/get', { taskId: inner[2] }))).toBe('200 -32602')
  expect(at((await mine('tasks/get', { taskId })).reply, 'result.status')).toBe('working')
})

test('the rules of the tool hold for its tasks, also for those that were made before', async () => {
  const ask = await client('strict')
  const taskId = idOf(await ask('tools/call', SLOW))
  expect(at((await ask('tasks/get', { taskId })).reply, 'result.status')).toBe('working')
  await gate.daemon.apply([project('strict', ['one'], { tools: { allow: ['one__greet'] } })])
  expect(errorOf(await ask('tasks/get', { taskId }))).toBe('200 -32602')
})

test('a task outlives the daemon that it was made through', async () => {
  const ask = await client('p')
  const taskId = idOf(await ask('tools/call', SLOW))
  await gate.restart('SIGKILL')
  const again = await client('p')
  expect(at((await again('tasks/get', { taskId })).reply, 'result.status')).toBe('working')
})

test('who has not declared the extension is given no task, and told what is missing', async () => {
  const silent = modernCaller(await gate.access('p'))
  const result = await silent.ask('tools/call', { ...SLOW, arguments: { seconds: 0, label: 'x' } })
  expect(at(result.reply, 'result.content.0.text')).toBe('computed x')
  const refused = await silent.ask('tasks/get', { taskId: 'any' })
  expect(errorOf(refused)).toBe('400 -32021')
  expect(at(refused.reply, 'error.data.requiredCapabilities')).toEqual({ extensions: { [TASKS]: {} } })
})

test('where no server has tasks there are none, and legacy clients have none anywhere', async () => {
  const ask = await client('past')
  expect(at((await ask('server/discover')).reply, 'result.capabilities.extensions')).toBeUndefined()
  expect(errorOf(await ask('tasks/get', { taskId: 'any' }))).toBe('404 -32601')
  const legacy = await openLegacy(await gate.access('p'))
  expect(at(legacy.opened, 'capabilities')).not.toHaveProperty('extensions')
  expect(at(legacy.opened, 'capabilities')).not.toHaveProperty('tasks')
  const plain = await legacy.ask('tools/call', { ...SLOW, arguments: { seconds: 0, label: 'x' } })
  expect(at(plain.reply, 'result.content.0.text')).toBe('computed x')
  expect(at((await legacy.ask('tasks/get', { taskId: 'any' })).reply, 'error.code')).toBe(-32_601)
})
