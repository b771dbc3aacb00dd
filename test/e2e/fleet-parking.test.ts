import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  at,
  endpoint,
  httpServer,
  modernCaller,
  project,
  until,
  type Access,
  type Json,
} from './gateway-harness.ts'

/* A modern client of a legacy server is asked by one process, and answers to another. */

const CAPABLE = { _meta: { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } } }
const CALL = { name: 'asking__test_elicitation', arguments: { message: 'Who?' }, ...CAPABLE }
const ANSWER = { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } }

let fleet: Fleet
let reference: ReferenceServer
let atA: Access
let atB: Access

beforeAll(async () => {
  reference = await startReferenceServer({ modern: false })
  fleet = await startFleet()
  await fleet.a.apply([httpServer('asking', reference.url), project('main', ['asking'])])
  ;({ atA, atB } = await accessAtBoth(fleet, 'main'))
  await knows(atB)
})
afterAll(async () => {
  await fleet?.end()
  await reference?.close()
})

const knows = (access: Access): Promise<boolean> =>
  until('it knows the token', async () => (await modernCaller(access).ask('tools/list')).status === 200)

/** Parks a call at one daemon; gives what the retry has to carry. */
async function park(access: Access): Promise<Json> {
  const { reply, text } = await modernCaller(access).ask('tools/call', CALL)
  const asked = at(reply, 'result.inputRequests') as Json | undefined
  if (at(reply, 'result.resultType') !== 'input_required' || asked === undefined)
    throw new Error(`not asked: ${text}`)
  const inputResponses = Object.fromEntries(Object.keys(asked).map((key) => [key, ANSWER]))
  return { ...CALL, inputResponses, requestState: at(reply, 'result.requestState') }
}

const atDaemon = (daemon: Daemon): Access => ({ ...atA, url: endpoint(daemon, 'main') })

test('the answer goes to the other daemon, and the call that waits at the first comes to its end', async () => {
  const retry = await park(atA)
  const { reply, status } = await modernCaller(atB).ask('tools/call', retry, 'another-id')
  expect(status).toBe(200)
  expect(reply['id']).toBe('another-id')
  expect(JSON.stringify(reply['result'])).toContain('ada')
  // Once: nobody answers a second time, wherever it arrives.
  for (const access of [atA, atB]) {
    const again = await modernCaller(access).ask('tools/call', retry)
    expect(JSON.stringify(again.reply['result'] ?? {})).not.toContain('ada')
  }
})

test('a daemon that has begun a moment ago is found as well', async () => {
  const c = await fleet.another()
  await knows(atDaemon(c))
  const retry = await park(atDaemon(c))
  const { reply } = await modernCaller(atB).ask('tools/call', retry)
  expect(JSON.stringify(reply['result'])).toContain('ada')
  await c.stop()
})

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'when the first has ended by %s, the call is said to be lost',
  async (how) => {
    const c = await fleet.another()
    await knows(atDaemon(c))
    const retry = await park(atDaemon(c))
    if (how === 'SIGKILL') process.kill(c.pid, how)
    await c.stop()
    const { reply, status } = await modernCaller(atB).ask('tools/call', retry)
    expect(status).toBe(200)
    expect(at(reply, 'result.isError')).toBe(true)
  },
)

test('somebody else does not get the answer, at the other daemon either', async () => {
  const retry = await park(atA)
  const { atB: other } = await accessAtBoth(fleet, 'main', 'somebody-else')
  await knows(other)
  const { reply } = await modernCaller(other).ask('tools/call', retry)
  expect(at(reply, 'error.code')).toBe(-32602)
  const mine = await modernCaller(atB).ask('tools/call', retry)
  expect(JSON.stringify(mine.reply['result'])).toContain('ada')
})
