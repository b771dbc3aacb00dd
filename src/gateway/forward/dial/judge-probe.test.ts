import { expect, test } from 'vitest'
import { readMessage } from '../../../protocol/message.ts'
import { judgeProbe, probe } from './judge-probe.ts'

const reply = (member: object) => {
  const read = readMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'a', ...member })), 'upstream')
  if (!read.ok) throw new Error(read.error)
  return read.value
}
const error = (code: unknown, data?: object, message: unknown = 'no') =>
  reply({ error: { code, message, data } })
const discovered = (...supportedVersions: string[]) =>
  reply({ result: { supportedVersions, capabilities: {} } })

const MODERN = '2026-07-28'
const answered = (code: number) => `server/discover was answered with error ${code}`

// oxfmt-ignore
const ROWS = [
  // what came                            status     reply                                             verdict
  ['a DiscoverResult',                    200,       discovered(MODERN),                               'modern'],
  ['one with more revisions',             200,       discovered('2031-01-01', MODERN),                 'modern'],
  ['one without a common revision',       200,       discovered('2031-01-01'),                         'legacy: its answer to server/discover names no revision that we share'],
  ['a result of another kind',            200,       reply({ result: { tools: [] } }),                 'legacy: its answer to server/discover names no revision that we share'],
  ['-32022 naming ours',                  400,       error(-32022, { supported: [MODERN] }),           'again'],
  ['-32022 naming ours, on a pipe',       undefined, error(-32022, { supported: [MODERN] }),           'again'],
  ['-32022 naming legacy ones',           400,       error(-32022, { supported: ['2025-11-25'] }),     `legacy: ${answered(-32022)}, which names no modern revision that we share`],
  ['-32022 without a list',               400,       error(-32022),                                    `legacy: ${answered(-32022)}`],
  ['-32020, well formed',                 400,       error(-32020),                                    'unknown: invalid'],
  ['-32020 of no form',                   400,       error(-32020, {}, 7),                             `legacy: ${answered(-32020)}`],
  ['-32020 with another status',          200,       error(-32020),                                    `legacy: ${answered(-32020)}`],
  ['-32021 naming a capability',          400,       error(-32021, { requiredCapabilities: { x: {} } }), 'again'],
  ['-32021 naming a list',                400,       error(-32021, { requiredCapabilities: ['x'] }),   `legacy: ${answered(-32021)}`],
  ['v1 SDK with sessions',                400,       error(-32000),                                    `legacy: ${answered(-32000)}`],
  ['v1 SDK, header unknown',              200,       error(-32601),                                    `legacy: ${answered(-32601)}`],
  ['404 with an error',                   404,       error(-32601),                                    `legacy: ${answered(-32601)}`],
  ['an error without a code',             200,       error(undefined),                                 'legacy: server/discover was answered with error of no code'],
  ['404 with a page',                     404,       undefined,                                        'legacy: server/discover was answered with HTTP status 404'],
  ['405',                                 405,       undefined,                                        'legacy: server/discover was answered with HTTP status 405'],
  ['401',                                 401,       undefined,                                        'unknown: refused'],
  ['401 with an error',                   401,       error(-32601),                                    'unknown: refused'],
  ['403 with a modern error',             403,       error(-32020),                                    'unknown: refused'],
  ['a redirect',                          302,       undefined,                                        'unknown: invalid'],
  ['408',                                 408,       undefined,                                        'unknown: unreachable'],
  ['429 with an error',                   429,       error(-32000),                                    'unknown: unreachable'],
  ['500 with an error',                   500,       error(-32601),                                    'unknown: unreachable'],
  ['503',                                 503,       undefined,                                        'unknown: unreachable'],
  ['200 that cannot be read',             200,       undefined,                                        'unknown: invalid'],
  ['202',                                 202,       undefined,                                        'unknown: invalid'],
] as const

test.each(ROWS)('%s (status %s)', (_what, status, message, verdict) => {
  const judged = judgeProbe({ status, reply: message })
  const more =
    judged.is === 'legacy' ? `: ${judged.why}` : judged.is === 'unknown' ? `: ${judged.failure.kind}` : ''
  expect(`${judged.is}${more}`).toBe(verdict)
})

test('what a server wants to hear is said to it, once', async () => {
  const openers: unknown[] = []
  const wants = { sampling: {} }
  const judged = await probe((opener) => {
    openers.push(opener)
    const answer = error(-32_021, { requiredCapabilities: wants })
    return Promise.resolve({ ok: true, value: { status: 400, reply: answer } })
  })
  expect(openers).toEqual([
    { version: MODERN, capabilities: {} },
    { version: MODERN, capabilities: wants },
  ])
  expect(judged).toMatchObject({ is: 'unknown', failure: { kind: 'invalid' } })
})

test('an outage between the two says nothing', async () => {
  let asked = 0
  const judged = await probe(() => {
    asked += 1
    return Promise.resolve(
      asked === 1
        ? { ok: true, value: { status: 400, reply: error(-32_022, { supported: [MODERN] }) } }
        : { ok: false, error: { kind: 'unreachable', message: 'gone' } },
    )
  })
  expect(judged).toEqual({ is: 'unknown', failure: { kind: 'unreachable', message: 'gone' } })
})
