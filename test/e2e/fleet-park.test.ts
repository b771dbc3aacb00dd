import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isHomeLocked } from '../../src/main/home-lock.ts'
import { startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  commandServer,
  endpoint,
  modernCaller,
  project,
  until,
  type Access,
  type Json,
} from './gateway-harness.ts'

/*
 * A modern client as its users have it, a legacy server as its users have it (a child process), the aggregated endpoint of
 * two daemons on one PostgreSQL: the question comes from one of them, the answer goes to the other.
 */

const PACKAGE = dirname(
  createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json'),
)
const TOOL = 'everything__trigger-elicitation-request'

let fleet: Fleet
let atA: Access

beforeAll(async () => {
  fleet = await startFleet()
  const mounts = [{ path: dirname(dirname(PACKAGE)) }]
  await fleet.a.apply([
    commandServer('everything', process.execPath, [`${PACKAGE}/dist/index.js`], { mounts }),
    project('main', ['everything']),
  ])
  ;({ atA } = await accessAtBoth(fleet, 'main'))
  await knows(fleet.b)
})
afterAll(() => fleet?.end())

const at = (daemon: Daemon): Access => ({ ...atA, url: endpoint(daemon, 'main') })

const knows = (daemon: Daemon): Promise<boolean> =>
  until('it knows the token', async () => (await modernCaller(at(daemon)).ask('tools/list')).status === 200)

interface Scripted {
  readonly result: Json
  /** Which daemon each request for the tool went to. */
  readonly went: readonly ('first' | 'second')[]
  readonly asked: readonly unknown[]
}

/** The official client, whose retries go to another daemon than its first request. */
async function play(first: Daemon, second: Daemon, beforeRetry?: () => Promise<void>): Promise<Scripted> {
  const went: ('first' | 'second')[] = []
  const asked: unknown[] = []
  const client = new Client(
    { name: 'scripted', version: '1' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  )
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    asked.push(params.message)
    await beforeRetry?.()
    return { action: 'accept', content: { name: 'Ada' } }
  })
  const fetchAt: typeof fetch = (url, init) => {
    const body = typeof init?.body === 'string' ? init.body : ''
    const isRetry = body.includes('"requestState"')
    if (body.includes(TOOL)) went.push(isRetry ? 'second' : 'first')
    return fetch(isRetry ? endpoint(second, 'main') : url, init)
  }
  const requestInit = { headers: { authorization: `Bearer ${atA.token}` } }
  const transport = new StreamableHTTPClientTransport(new URL(endpoint(first, 'main')), {
    requestInit,
    fetch: fetchAt,
  })
  await client.connect(transport)
  try {
    return { result: await client.callTool({ name: TOOL, arguments: {} }), went, asked }
  } finally {
    await client.close()
  }
}

test('the elicitation of a stdio server is answered at the other daemon', async () => {
  const { result, went, asked } = await play(fleet.a, fleet.b)
  expect(went).toEqual(['first', 'second'])
  expect(asked).toHaveLength(1)
  expect(result['isError']).not.toBe(true)
  expect(JSON.stringify(result['content'])).toContain('Ada')
})

test('when the first daemon was started again meanwhile, the call is said to be lost, and made by nobody', async () => {
  const c = await fleet.another()
  await knows(c)
  let again: Daemon | undefined
  const { result, went } = await play(c, fleet.b, async () => {
    process.kill(c.pid, 'SIGKILL')
    await c.stop()
    await until('the home is free again', () => !isHomeLocked(c.home))
    again = await startDaemon(c.home, 0, fleet)
  })
  await again?.stop()
  expect(went).toEqual(['first', 'second'])
  expect(result['isError']).toBe(true)
  expect(JSON.stringify(result['content'])).toMatch(/lost/)
})
