import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { startPiped, type Piped } from './connect-harness.ts'
import { at, httpServer, project, until } from './gateway-harness.ts'

/* Clients on a pipe in front of a daemon that goes and comes back, where it was or on another port. */

let reference: ReferenceServer
let home: string
let daemon: Daemon
let token: string
const open: Piped[] = []

beforeAll(async () => {
  reference = await startReferenceServer()
  home = await makeHome()
  daemon = await startDaemon(home)
  await daemon.apply([httpServer('ref', reference.url), project('main', ['ref'])])
  token = await daemon.createToken('main')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((piped) => piped.end()))
})
afterAll(async () => {
  await daemon?.stop()
  await reference?.close()
  await removeHome(home)
})

function start(...more: string[]): Piped {
  const piped = startPiped(['main', '--home', home, ...more], { CASTELLAN_TOKEN: token })
  open.push(piped)
  return piped
}

/** @param signal SIGTERM: stopped; SIGKILL: as in a crash */
async function stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  process.kill(daemon.pid, signal)
  await daemon.stop()
}

const portOf = ({ origin }: Daemon): number => Number(new URL(origin).port)

const SIMPLE = { name: 'ref__test_simple_text', arguments: {} }
const WAIT = { name: 'ref__wait', arguments: {} }
const says = (reply: unknown) => String(at(reply, 'result.content.0.text'))
let asked = 0
/** How many calls the server has begun to wait in, and how many of them were stopped. */
const seen = async (piped: Piped) =>
  JSON.parse(says(await piped.ask(`seen${asked++}`, 'tools/call', { name: 'ref__seen', arguments: {} }))) as {
    waiting: number
    aborted: number
  }

test.each([
  ['SIGKILL', 'the same'],
  ['SIGTERM', 'another'],
] as const)(
  '%s, and a start on %s port: sessions and listens go on; what may have changed is told; a call that is made meanwhile waits',
  async (signal, port) => {
    const piped = start()
    await piped.initialize()
    piped.write(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 'ears',
        method: 'subscriptions/listen',
        params: {
          notifications: { toolsListChanged: true },
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    )
    const acknowledged = 'notifications/subscriptions/acknowledged'
    await until('the acknowledgement', () => piped.told(acknowledged).length > 0)
    expect(says(await piped.ask(1, 'tools/call', SIMPLE))).toContain('simple text')

    await stop(signal)
    const late = [piped.ask(2, 'tools/call', SIMPLE), piped.askModern(3, 'tools/list')]
    daemon = await startDaemon(home, port === 'the same' ? portOf(daemon) : 0)
    const [called, listed] = await Promise.all(late)
    expect(called).toMatchObject({ result: { content: [{ text: expect.stringContaining('simple text') }] } })
    expect(at(listed, 'result.tools.0.name')).toMatch(/^ref__/)
    const changes = () => piped.told('notifications/tools/list_changed')
    await until(
      'both have heard',
      () => new Set(changes().map((one) => at(one, 'params._meta') === undefined)).size === 2,
    )
    expect(piped.told(acknowledged)).toHaveLength(1)
    expect(piped.messages.filter((message) => message['id'] === 'ears')).toEqual([])
    expect(await piped.end()).toBe(0)
    // The listen is ended in both ways that the specification knows, and nothing else is left over.
    expect(piped.messages.at(-2)).toMatchObject({ id: 'ears', result: { resultType: 'complete' } })
    expect(piped.messages.at(-1)).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: 'ears' },
    })
    expect(piped.messages.filter((message) => message['error'] !== undefined)).toEqual([])
  },
)

test('a call that was running when the daemon was killed is lost, and said to be, in either era', async () => {
  const piped = start()
  await piped.initialize()
  const { waiting } = await seen(piped)
  const before = { old: waiting, new: waiting + 1 }
  for (const id of ['old', 'new'] as const) {
    const lost = id === 'old' ? piped.ask(id, 'tools/call', WAIT) : piped.askModern(id, 'tools/call', WAIT)
    void lost.catch(() => undefined)
    await until('the server runs it', async () => (await seen(piped)).waiting > before[id])
  }
  await stop('SIGKILL')
  daemon = await startDaemon(home, portOf(daemon))
  const lost = { error: { code: -32603, message: expect.stringContaining('lost') } }
  for (const id of ['old', 'new']) expect(await piped.reply(id)).toMatchObject(lost)
  expect(says(await piped.ask('after', 'tools/call', SIMPLE))).toContain('simple text')
})

test('a session that the daemon no longer knows is opened again, with what the client had asked of it', async () => {
  const piped = start()
  await piped.initialize()
  const uri = 'test://watched-resource'
  await piped.ask('level', 'logging/setLevel', { level: 'debug' })
  await piped.ask('watch', 'resources/subscribe', { uri })
  await daemon.stop()
  const before = piped.told('notifications/resources/updated').length
  const answer = piped.ask(1, 'tools/call', { name: 'ref__test_tool_with_logging', arguments: {} })
  // As after a restore of an older backup: the sessions are gone, the tokens are not.
  for (const end of ['', '-wal', '-shm']) await rm(`${home}/state.db${end}`, { force: true })
  daemon = await startDaemon(home, portOf(daemon))
  expect(says(await answer)).toContain('Tool with logging')
  expect(piped.told('notifications/tools/list_changed').length).toBeGreaterThan(0)
  expect(piped.told('notifications/resources/updated').length).toBeGreaterThan(before)
  expect(piped.told('notifications/message').length).toBeGreaterThan(0)
  expect(piped.messages.filter(({ id }) => id === 'init')).toHaveLength(1)
  expect(piped.stderr()).toContain('the session was lost and has been opened again')
})

test('no daemon: the client is told soon what to do, and is served once there is one', async () => {
  await daemon.stop()
  const piped = start()
  const refused = await piped.initialize()
  expect(at(refused, 'error.message')).toMatch(/no daemon is running.*castellan up/)
  daemon = await startDaemon(home)
  await until('it answers', async () => {
    const reply = await piped.ask(`again${piped.messages.length}`, 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'x', version: '1' },
    })
    return reply['result']
  })
  expect(piped.stderr()).toContain('castellan connect: no daemon is running')
})

test.each([
  ['a wrong token', ['main'], { CASTELLAN_TOKEN: `cst_${'x'.repeat(43)}` }, /valid token.*--token-file/],
  ['a project that is not there', ['nope'], {}, /no endpoint.*deleted, its name is misspelt/],
])('%s: said to the client and on standard error', async (_, args, env, message) => {
  const piped = startPiped([...args, '--home', home], env)
  for (const id of [0, '1']) {
    expect(at(await piped.ask(id, 'tools/list'), 'error.message')).toMatch(message)
    expect(at(await piped.askModern(`m${id}`, 'tools/list'), 'error.message')).toMatch(message)
  }
  expect(piped.stderr().split('castellan connect:').length).toBeLessThanOrEqual(3)
  expect(piped.stderr() + piped.lines.join('')).not.toContain('cst_')
  expect(await piped.end()).toBe(0)
})

test('whoever may read the home needs no token', async () => {
  const piped = startPiped(['main', '--home', home])
  await piped.initialize()
  expect(says(await piped.ask(1, 'tools/call', SIMPLE))).toContain('simple text')
  expect(await piped.end()).toBe(0)
})

test('garbage is answered and passed over; ids of every kind come back as they went', async () => {
  const piped = start()
  for (const line of [
    '',
    '\r',
    'hello',
    '{"jsonrpc":"2.0"',
    '[]',
    '{}',
    '{"jsonrpc":"1.0","id":1}',
    '\u0000',
  ])
    piped.write(line)
  await piped.initialize('2025-03-26')
  expect(piped.messages.filter((message) => message['error'] !== undefined)).toHaveLength(6)
  for (const id of ['9007199254740993', '"a\\u0062"', '0', '-1', '""'])
    piped.write(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`)
  await until(
    'all are answered',
    () => piped.lines.filter((line) => line.includes('"result":{}')).length === 5,
  )
  const ids = piped.lines.flatMap((line) => /"id":("[^"]*"|-?\d+),"result":\{\}/.exec(line)?.[1] ?? [])
  expect(ids.toSorted()).toEqual(['""', '"a\\u0062"', '-1', '0', '9007199254740993'])
  piped.write('[{"jsonrpc":"2.0","id":"b1","method":"ping"},{"jsonrpc":"2.0","id":"b2","method":"ping"}]')
  await until('the batch', () => piped.lines.find((line) => line.includes('"b1"') && line.includes('"b2"')))
})

test('all that was written before the end of standard input is answered', async () => {
  const piped = start()
  piped.write(
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}',
  )
  piped.notify('notifications/initialized')
  piped.write(JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: SIMPLE }))
  expect(await piped.end()).toBe(0)
  expect(says(await piped.reply(2))).toContain('simple text')
})

test('a signal ends it within a moment, with a call that runs, and stops that call', async () => {
  const other = start()
  await other.initialize()
  const before = await seen(other)
  const piped = start()
  await piped.initialize()
  void piped.ask(1, 'tools/call', WAIT).catch(() => undefined)
  await until('the server runs it', async () => (await seen(other)).waiting > before.waiting)
  piped.signal('SIGTERM')
  expect(await piped.exited).toBe(0)
  await until('the server has heard of it', async () => (await seen(other)).aborted > before.aborted)
})
