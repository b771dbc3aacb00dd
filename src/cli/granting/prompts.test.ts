import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { listen, runInMemory, type Answer, type Asked } from '../../../test/e2e/cli-in-memory.ts'

/** A terminal that somebody types on. */
class Terminal extends PassThrough {
  readonly isTTY = true
  raw = false
  setRawMode(raw: boolean): this {
    this.raw = raw
    return this
  }
}

let daemon: Awaited<ReturnType<typeof listen>> | undefined
afterEach(() => daemon?.close())

const META = {
  id: 'meta',
  aliases: [],
  title: 'Meta',
  qualifier: null,
  fields: [
    { name: 'token', prompt: 'Meta token', secret: true, optional: false },
    { name: 'appId', prompt: 'App id', secret: false, optional: true },
  ],
  oneOf: [],
  sources: [
    { kind: 'prompt', field: 'token' },
    { kind: 'prompt', field: 'appId' },
  ],
  origins: [],
  runsOnly: false,
}
const STARTED = {
  name: 'oauth:notes',
  attempt: 'a1',
  authorizeUrl: 'https://as.example.com/authorize',
  redirectUri: 'http://127.0.0.1:7411/oauth/callback/notes',
  issuer: 'https://as.example.com',
  scopes: [],
  from: { issuer: 'discovery', tokenUrl: 'discovery', authUrl: 'file', deviceUrl: 'discovery' },
  usedByServer: true,
}

async function start(more: (asked: Asked) => Answer | undefined = () => undefined): Promise<void> {
  daemon = await listen((asked) => {
    if (asked.path === '/api/v1/grants/providers') return { body: { items: [META], problems: [] } }
    return more(asked) ?? { body: {} }
  })
}

/** Runs a line, and types when the screen says something. */
async function type(line: string, answers: readonly (readonly [prompt: string, keys: string])[]) {
  const terminal = new Terminal()
  const ran = runInMemory(line.split(' '), {
    env: { CASTELLAN_URL: daemon?.url },
    stdin: terminal,
    onScreen: (screen) => {
      const [next] = waiting
      if (next === undefined || !screen.includes(next[0])) return
      waiting.shift()
      setImmediate(() => terminal.write(next[1]))
    },
  })
  const waiting = [...answers]
  const ended = await ran
  return { ...ended, screen: ended.err, terminal }
}

const changes = (): readonly Asked[] => daemon?.asked.filter(({ method }) => method !== 'GET') ?? []

test('what is typed is hidden, and what may be left out is asked for, too', async () => {
  await start()
  const ran = await type('grant meta --no-test', [
    ['Meta token', 'canary\r'],
    ['App id (Enter for none)', '123\r'],
  ])
  expect(ran).toMatchObject({ code: 0, out: 'meta stored\n' })
  expect(ran.screen).not.toContain('canary')
  expect(ran.terminal.raw).toBe(false)
  expect(JSON.parse(changes()[0]?.body ?? '')).toMatchObject({
    values: { token: 'canary', appId: '123' },
    source: 'prompt',
  })
})

test.each(['\u0003', '\u001b'])(
  'giving up with %j leaves nothing, also when a value was typed before',
  async (key) => {
    await start()
    const ran = await type('grant meta', [
      ['Meta token', 'canary\r'],
      ['App id', key],
    ])
    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.screen).toContain('nothing was done')
    expect(ran.terminal.raw).toBe(false)
    expect(changes()).toEqual([])
  },
)

test.each([
  ['y', 0, 'github is sent to https://b.example, https://a.example, and nowhere else\n'],
  ['n', 1, ''],
])('bind asks; %s', async (key, code, out) => {
  await start(({ path }) =>
    path === '/api/v1/grants/github' ? { body: { origins: ['https://b.example'] } } : undefined,
  )
  expect(await type('grant bind github https://a.example/path', [['and nowhere else?', key]])).toMatchObject({
    code,
    out,
  })
  expect(changes().map(({ body }) => JSON.parse(body) as unknown)).toEqual(
    code === 0 ? [{ origins: ['https://b.example', 'https://a.example'] }] : [],
  )
})

test('the address that a browser ended at is taken by hand; one that is none is asked for again', async () => {
  let done = false
  await start(({ path, body }) => {
    if (path === '/api/v1/grants') return { status: 202, body: STARTED }
    if (path.endsWith('/paste')) {
      if (body.includes('wrong'))
        return {
          status: 400,
          headers: { 'content-type': 'application/problem+json' },
          body: { title: 'not that', code: 'invalid' },
        }
      done = true
    }
    return path.includes('/attempts/') ? { body: { state: done ? 'done' : 'waiting' } } : undefined
  })
  const ran = await type('grant oauth notes --server notes --no-browser', [
    ['Address that the browser ended at', 'wrong\r'],
    ['not that', 'http://127.0.0.1:7411/oauth/callback/notes?code=c&state=s\r'],
  ])
  expect(ran).toMatchObject({ code: 0, out: 'https://as.example.com/authorize\n' })
  expect(ran.screen).toContain('authorization server    https://as.example.com  (discovery)\n')
  expect(ran.screen).toContain('authorization endpoint  file\nendpoints               discovery\n')
  expect(ran.screen).toContain('or run it again with --device')
  expect(ran.screen).toContain('oauth:notes authorized')
  expect(JSON.parse(changes().at(-1)?.body ?? '')).toEqual({
    answer: 'http://127.0.0.1:7411/oauth/callback/notes?code=c&state=s',
  })
})

test('when the browser brings it by itself the question is taken back', async () => {
  await start(({ path }) => {
    if (path === '/api/v1/grants') return { status: 202, body: STARTED }
    return path.includes('/attempts/') ? { body: { state: 'done' } } : undefined
  })
  const ran = await type('grant oauth notes --server notes --no-browser', [])
  expect(ran).toMatchObject({ code: 0 })
  expect(ran.terminal.raw).toBe(false)
})

test('giving up while the daemon waits ends the command', async () => {
  await start(({ path }) => {
    if (path === '/api/v1/grants') return { status: 202, body: STARTED }
    return path.includes('/attempts/') ? { body: { state: 'waiting' } } : undefined
  })
  const ran = await type('grant oauth notes --server notes --no-browser', [['browser ended at', '\u0003']])
  expect(ran).toMatchObject({ code: 1 })
  const asked = daemon?.asked.length
  await sleep(50)
  expect(daemon?.asked.length).toBe(asked)
})

test('the device flow: the code is shown, and nothing has to be pasted', async () => {
  await start(({ path }) => {
    if (path === '/api/v1/grants')
      return {
        status: 202,
        body: {
          ...STARTED,
          authorizeUrl: undefined,
          device: {
            userCode: 'WDJB-\u001b[2JMJHT',
            verificationUrl: 'https://as.example.com/device',
            expiresInSeconds: 600,
          },
        },
      }
    return path.includes('/attempts/') ? { body: { state: 'done' } } : undefined
  })
  const ran = await type('grant oauth notes --server notes --device --no-browser', [])
  expect(ran).toMatchObject({ code: 0, out: 'https://as.example.com/device\n' })
  expect(ran.screen).toContain('enter the code WDJB-?[2JMJHT:')
  expect(JSON.parse(changes()[0]?.body ?? '')).toMatchObject({ device: true })
})

test.each(['javascript:alert(1)', 'file:///etc/passwd', ''])(
  'an address like %j is not handed to a browser',
  async (authorizeUrl) => {
    await start(({ path }) =>
      path === '/api/v1/grants' ? { status: 202, body: { ...STARTED, authorizeUrl } } : undefined,
    )
    const ran = await type('grant oauth notes --server notes', [])
    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.screen).toContain('names no address')
  },
)
