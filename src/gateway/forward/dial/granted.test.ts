import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Pool, type Dispatcher } from 'undici'
import { Server as ServerKind } from '../../../kinds/server.ts'
import { err, ok } from '../../../lib/result.ts'
import { SecretValue } from '../../../lib/secret-value.ts'
import { grantUse, type GrantSource, type RefusedGrant } from '../../inject/grants.ts'
import type { InjectionRecord } from '../../record/injections.ts'
import type { ServerView } from '../../snapshot.ts'
import { granted, redactorFor } from './granted.ts'
import { httpExchange } from '../http/http-exchange.ts'
import type { UpstreamFailure } from '../upstream.ts'

const OLD = new SecretValue('access-token-that-has-run-out')
const NEW = new SecretValue('access-token-that-is-taken')

let server: Server
let pool: Pool
let origin: string
let seen: IncomingHttpHeaders[]
let said: string[]
let isWritten: boolean
const record: InjectionRecord = {
  sent({ grant, server, place }) {
    said.push(`${grant} to ${server} in ${place}, after ${seen.length} requests`)
    return Promise.resolve(isWritten)
  },
  withheld: (_, why) => void said.push(`withheld: ${why}`),
}
beforeEach(async () => {
  seen = []
  said = []
  isWritten = true
  server = createServer((request, response) => {
    seen.push(request.headers)
    const good = request.headers.authorization === `Bearer ${NEW.reveal()}`
    const headers = { 'content-type': 'application/json', 'www-authenticate': 'Bearer scope="a"' }
    if (request.url === '/parrot')
      response
        .writeHead(403, {
          'www-authenticate': `Bearer error="insufficient_scope", scope="${request.headers.authorization?.slice(7)}"`,
        })
        .end()
    else if (request.url === '/forbidden') response.writeHead(403, headers).end('{}')
    else if (good) response.end('not asked for')
    else response.writeHead(401, headers).end(Buffer.alloc(request.url === '/long' ? 1024 * 1024 : 2))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  pool = new Pool(origin)
})
afterEach(async () => {
  await pool.destroy()
  server.closeAllConnections()
  server.close()
})

interface Play {
  source: GrantSource
  readonly refused: RefusedGrant[]
}

function play(
  tokens: (SecretValue | undefined)[],
  onRefused: () => ReturnType<GrantSource['refused']>,
): Play {
  const refused: RefusedGrant[] = []
  return {
    refused,
    source: {
      current: () => tokens[0],
      ready: () =>
        Promise.resolve(
          tokens[0] === undefined ? err({ message: 'run this', connect: false }) : ok(tokens[0]),
        ),
      refused(_, how) {
        refused.push(how)
        tokens.shift()
        return onRefused()
      },
    },
  }
}

const view = (): ServerView => {
  const spec = { transport: 'http', url: `${origin}/mcp`, auth: { grant: 'oauth:x' } }
  return { uid: 'srv_x', name: 'x', spec: ServerKind.spec.parse(spec), fingerprint: 'f' }
}

function ask(
  { source }: Play,
  path = '/',
): Promise<{ status: number | undefined; failure: UpstreamFailure | undefined }> {
  const { calls } = connect(source)
  return askOver(calls, path)
}

function connect(source: GrantSource): ReturnType<typeof granted> {
  const { spec } = view()
  if (spec.transport === 'stdio') throw new TypeError('over HTTP')
  return granted({ calls: pool, streams: pool }, grantUse(source, view(), spec), record)
}

function askOver(calls: Dispatcher, path = '/'): ReturnType<typeof ask> {
  return new Promise((resolve) => {
    let status: number | undefined
    httpExchange(
      calls,
      { method: 'POST', origin, path, headers: { accept: '*/*' }, body: '{}' },
      {
        status: (code) => void (status = code),
        message() {},
        end: () => resolve({ status, failure: undefined }),
        error: (failure) => resolve({ status, failure }),
      },
    )
  })
}

const again = (): ReturnType<GrantSource['refused']> => Promise.resolve(ok(undefined))

test.each(['/', '/long'])(
  'a token that is refused is replaced once, and nobody hears of it (%s)',
  async (path) => {
    const one = play([OLD, NEW], again)
    expect((await ask(one, path)).status).toBe(200)
    expect(one.refused).toEqual([{ used: OLD, status: 401, challenge: 'Bearer scope="a"' }])
    expect(seen.map(({ authorization }) => authorization)).toEqual(
      [OLD, NEW].map((one) => `Bearer ${one.reveal()}`),
    )
  },
)

test('and no more than once', async () => {
  const { failure } = await ask(play([OLD, OLD, OLD], again))
  expect(failure).toMatchObject({ kind: 'refused', status: 401 })
  expect(seen).toHaveLength(2)
})

test('without a token nothing is sent, and the failure says what to do', async () => {
  const { failure } = await ask(play([], again))
  expect(failure).toMatchObject({ kind: 'refused', message: 'run this' })
  expect(seen).toEqual([])
})

test('a refusal that only a user can mend says so', async () => {
  const one = play([NEW], () => Promise.resolve(err({ message: 'more scopes', connect: true })))
  expect((await ask(one, '/forbidden')).failure).toMatchObject({
    message: 'more scopes',
    status: 403,
    connect: true,
  })
  expect(seen).toHaveLength(1)
})

test('a challenge that repeats the token demands nothing', async () => {
  const one = play([NEW], () => Promise.resolve(err(undefined)))
  expect((await ask(one, '/parrot')).failure).toMatchObject({ kind: 'refused', status: 403 })
  expect(one.refused).toEqual([{ used: NEW, status: 403, challenge: undefined }])
})

test('a grant that cannot be looked up is a failure, not silence', async () => {
  const source: GrantSource = {
    current: () => undefined,
    ready: () => Promise.reject(new Error('the database is away')),
    refused: again,
  }
  expect((await ask({ source, refused: [] })).failure).toMatchObject({ kind: 'unreachable' })
})

test('what goes over a connection for the first time is on the record before: once for all, and after each renewal', async () => {
  const tokens: (SecretValue | undefined)[] = [NEW]
  const { calls, streams } = connect(play(tokens, again).source)
  await Promise.all([askOver(calls), askOver(streams), askOver(calls)])
  tokens[0] = new SecretValue(NEW.reveal())
  await askOver(calls)
  const first = 'oauth:x to x in authorization, after 0 requests'
  expect([said, seen.length]).toEqual([[first], 4])
  tokens.splice(0, 1, OLD, NEW)
  expect((await askOver(calls)).status).toBe(200)
  const after = (count: number): string => `oauth:x to x in authorization, after ${count} requests`
  expect(said).toEqual([first, after(4), after(5)])
  await ask(play([NEW], again))
  expect(said).toHaveLength(4)
})

test('what cannot be recorded is not sent', async () => {
  isWritten = false
  const { calls } = connect(play([NEW], again).source)
  expect((await askOver(calls)).failure?.message).toContain('record')
  expect(seen).toEqual([])
  isWritten = true
  expect((await askOver(calls)).status).toBe(200)
})

test('what is withheld is on the record, each reason once; that somebody has no account is not', async () => {
  const { calls } = connect(play([], again).source)
  await askOver(calls)
  await askOver(calls)
  expect(said).toEqual(['withheld: run this'])
  const unconnected: GrantSource = {
    ...play([], again).source,
    ready: () => Promise.resolve(err({ message: 'connect', connect: true })),
  }
  await askOver(connect(unconnected).calls)
  expect(said).toHaveLength(1)
})

test('what a server repeats of its token is taken out, also of the one before', () => {
  const tokens: (SecretValue | undefined)[] = [OLD, NEW]
  const { source } = play(tokens, again)
  const redact = redactorFor({ openSecret: () => undefined, grants: source }, view())
  const said = Buffer.from(JSON.stringify({ text: `${OLD.reveal()} ${NEW.reveal()}` }))
  expect(redact?.(said).toString()).toBe(JSON.stringify({ text: `[redacted] ${NEW.reveal()}` }))
  tokens.shift()
  expect(redact?.(said).toString()).toBe('{"text":"[redacted] [redacted]"}')
})
