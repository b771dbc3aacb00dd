import { afterAll, beforeAll, expect, test } from 'vitest'
import { startOidcProvider, signInAtProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import {
  accessOf,
  furnish,
  legacyAgent,
  linkIn,
  PASSWORD,
  setPassword,
  SERVER,
  user,
} from './credentials-connect-harness.ts'
import { startEdge } from './edge-harness.ts'
import {
  httpServer,
  project,
  send,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
} from './gateway-harness.ts'
import { connectProvider } from './sign-in-harness.ts'

// The page on which people connect accounts, and whoever would misuse it: a browser as small as can be, in which
// nothing is done that is not said here.

let provider: ResourceProvider
let company: OidcProvider
let gate: Gate
const links = new Map<string, string>()

beforeAll(async () => {
  provider = await startResourceProvider()
  company = await startOidcProvider({
    accounts: { 'sub-mal': { email: 'mal@example.com', email_verified: true } },
  })
  gate = await startGate([project('empty', [])])
  await connectProvider(gate.daemon, company)
  await furnish(gate.daemon, provider, [
    user('ada'),
    user('bob'),
    user('mal', { identity: { provider: 'corp', subject: 'sub-mal' } }),
  ])
  for (const name of ['ada', 'bob', 'mal']) {
    await setPassword(gate.daemon, name)
    links.set(name, await linkFor(await accessOf(gate.daemon, name)))
  }
}, 60_000)
afterAll(async () => {
  await gate?.end()
  await Promise.all([provider?.close(), company?.close()])
})

async function linkFor(access: Access, tool = `${SERVER}__connect`): Promise<string> {
  const agent = await legacyAgent(access, false)
  const said = await agent.call(tool)
  await agent.close()
  return linkIn(JSON.stringify(said))
}

const linkOf = (name: string): string => links.get(name) ?? ''

interface Shown {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  /** What its first form brings back. */
  readonly mark: string
}

interface Given {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly method?: string
}

/** Keeps its cookies, follows nothing by itself. */
function openVisitor() {
  const cookies = new Map<string, string>()
  async function ask(url: string, { headers = {}, body, method }: Given = {}): Promise<Shown> {
    const response = await fetch(url, {
      redirect: 'manual',
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    const text = await response.text()
    const mark = /name="mark" value="([^"]+)"/.exec(text)?.[1] ?? ''
    return { status: response.status, text, headers: response.headers, mark }
  }
  const post = (url: string, fields: Record<string, string>, headers?: Given['headers']): Promise<Shown> =>
    ask(url, { body: new URLSearchParams(fields).toString(), ...(headers === undefined ? {} : { headers }) })
  return {
    cookies,
    ask,
    post,
    async signIn(url: string, name: string, password = PASSWORD): Promise<Shown> {
      const { mark } = await ask(url)
      return post(url, { mark, do: 'password', user: name, password })
    },
    /** Where the browser is sent on to. */
    async agree(url: string): Promise<string> {
      const { mark } = await ask(url)
      const { text } = await post(url, { mark, do: 'connect' })
      return (/<a class="act" href="([^"]+)"/.exec(text)?.[1] ?? '').replaceAll('&amp;', '&')
    },
  }
}

const grants = async (): Promise<readonly Json[]> =>
  ((await gate.daemon.call('GET', '/api/v1/grants?for=all')) as { items: Json[] }).items
const ready = async (): Promise<unknown[]> =>
  (await grants()).filter((grant) => grant['state'] === 'ready').map(({ holder }) => holder)

test('a page takes no frame, no script and no cache, and its cookie is for nobody else', async () => {
  const { headers, status } = await openVisitor().ask(linkOf('ada'))
  expect(status).toBe(200)
  expect(headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
  )
  expect(Object.fromEntries(headers)).toMatchObject({
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'referrer-policy': 'same-origin',
    'content-type': 'text/html; charset=utf-8',
  })
  expect(headers.get('set-cookie')).toMatch(
    /^castellan=ccv1\.[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
  )
})

test('a link that is changed, cut, made up or of another kind leads nowhere', async () => {
  const link = linkOf('ada')
  const { cookies } = openVisitor()
  const made = openVisitor()
  await made.ask(link)
  const page = `${gate.daemon.origin}/connect/`
  for (const wrong of [
    `${link}xxxx`,
    link.slice(0, -3),
    link.replace(/.(?=.{9}$)/, (letter) => (letter === 'A' ? 'B' : 'A')),
    page,
    `${page}cco1.`,
    `${page}${made.cookies.get('castellan') ?? ''}`,
    `${page}cco1.${(made.cookies.get('castellan') ?? '').slice(5)}`,
    `${page}cco1.${'A'.repeat(5000)}`,
    `${page}/evil.example/`,
    `${link}?next=https://evil.example`,
  ]) {
    const { status, text, headers } = await openVisitor().ask(wrong)
    expect([status, wrong, headers.get('location')]).toEqual([404, wrong, null])
    expect(text).not.toContain('evil')
  }
  expect(cookies.size).toBe(0)
})

test('a form counts only from the page that we showed, in that browser, for that link', async () => {
  const link = linkOf('ada')
  const [ada, other] = [openVisitor(), openVisitor()]
  const { mark } = await ada.ask(link)
  const others = (await other.ask(link)).mark
  const ofAnother = (await ada.ask(linkOf('bob'))).mark
  const fields = { do: 'password', user: 'ada', password: PASSWORD }
  const before = provider.count('register')
  for (const wrong of [{}, { mark: '' }, { mark: 'ccf1.AAAA' }, { mark: others }, { mark: ofAnother }])
    expect(await ada.post(link, Object.assign({}, fields, wrong))).toMatchObject({ status: 403 })
  expect(await openVisitor().post(link, Object.assign({ mark }, fields))).toMatchObject({ status: 403 })
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { host: 'evil.example' },
  ]) {
    const url = new URL(link)
    const answer = await send(
      { url: url.href, token: '' },
      {
        body: new URLSearchParams(Object.assign({ mark }, fields)).toString(),
        headers: Object.assign(
          {
            'content-type': 'application/x-www-form-urlencoded',
            authorization: undefined,
            cookie: `castellan=${ada.cookies.get('castellan') ?? ''}`,
          },
          headers,
        ),
      },
    )
    expect([answer.status, headers]).toEqual([403, headers])
  }
  // A mark of before the sign-in is worth nothing after it.
  expect(await ada.post(link, Object.assign({ mark }, fields))).toMatchObject({ status: 303 })
  expect(await ada.post(link, { mark, do: 'connect' })).toMatchObject({ status: 403 })
  const { mark: signedIn } = await ada.ask(link)
  expect(await ada.post(link, { mark: signedIn, do: 'something' })).toMatchObject({ status: 403 })
  expect(await ada.post(link, { mark: signedIn.replace('ccf1', 'ccv1'), do: 'connect' })).toMatchObject({
    status: 403,
  })
  expect(provider.count('register')).toBe(before)
})

test('other methods, other contents and too much of it are refused', async () => {
  const link = linkOf('ada')
  const ada = openVisitor()
  const { mark } = await ada.ask(link)
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const { status, headers } = await ada.ask(link, { method })
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  }
  expect(await ada.ask(link, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
  const body = `mark=${mark}&do=password&user=ada&password=x`
  for (const [status, given] of [
    [415, { body: JSON.stringify({ mark }), headers: { 'content-type': 'application/json' } }],
    [415, { body, headers: { 'content-type': 'text/plain' } }],
    [415, { body, headers: { 'content-encoding': 'gzip' } }],
    [413, { body: `${body}&more=${'x'.repeat(70_000)}` }],
    [400, { body: `${body}&user=bob` }],
    [400, { body: `${body}&user=${'x'.repeat(5000)}`.replace('&user=ada', '') }],
  ] as const)
    expect([await ada.ask(link, given), given.body.length]).toMatchObject([{ status }, given.body.length])
})

test('whoever is signed in, or signs in, and is somebody else comes no further than to be told so', async () => {
  const [bob, other] = [openVisitor(), openVisitor()]
  await bob.signIn(linkOf('bob'), 'bob')
  const before = provider.count('register')
  const shown = await bob.ask(linkOf('ada'))
  expect([shown.status, shown.text.includes('for somebody else')]).toEqual([403, true])
  expect(shown.text).not.toContain('ada')
  await bob.post(linkOf('ada'), { mark: shown.mark, do: 'connect' })
  const refused = await other.signIn(linkOf('ada'), 'bob')
  expect([refused.status, refused.headers.get('set-cookie')]).toEqual([403, null])
  expect((await other.ask(linkOf('bob'))).text).toContain('Sign in to Castellan')
  expect([provider.count('register'), await grants()]).toEqual([before, []])
})

test('an authorization ends in the browser that began it, once; nobody else’s account is connected by a link that is passed on', async () => {
  const [mal, victim] = [openVisitor(), openVisitor()]
  expect(await mal.signIn(linkOf('mal'), 'mal')).toMatchObject({ status: 303 })
  const toProvider = await mal.agree(linkOf('mal'))
  // Somebody else follows the address, and agrees at the authorization server.
  const back = await signInAtProvider(toProvider, 'bob')
  await victim.signIn(linkOf('bob'), 'bob')
  const codes = provider.count('code')
  const atVictim = await victim.ask(back.href)
  expect(atVictim).toMatchObject({ status: 400 })
  expect(atVictim.text).toContain('another browser')
  expect(await mal.ask(back.href)).toMatchObject({ status: 400 })
  expect([provider.count('code'), await ready()]).toEqual([codes, []])
  const own = await signInAtProvider(await mal.agree(linkOf('mal')), 'ada')
  const done = await mal.ask(own.href)
  expect([done.status, done.headers.get('location')]).toEqual([303, new URL(linkOf('mal')).pathname])
  expect((await mal.ask(own.href)).text).toContain('belongs to no authorization that is under way')
  expect(await ready()).toEqual(['user:mal'])
  // The link stays good for the same person, and shows how it stands.
  expect((await mal.ask(linkOf('mal'))).text).toContain('Connected')
})

test('what one browser began at the identity provider, no other goes on with', async () => {
  const [mal, victim] = [openVisitor(), openVisitor()]
  const link = linkOf('mal')
  const { mark } = await mal.ask(link)
  const { text } = await mal.post(link, { mark, do: 'provider', provider: 'corp' })
  const at = (/<a class="act" href="([^"]+)"/.exec(text)?.[1] ?? '').replaceAll('&amp;', '&')
  const back = await signInAtProvider(at, 'sub-mal')
  await victim.ask(link)
  expect(await victim.ask(back.href)).toMatchObject({ status: 401 })
  expect((await victim.ask(link)).text).toContain('Sign in to Castellan')
  expect(await mal.ask(back.href)).toMatchObject({ status: 400 })
  const unknown = await mal.post(link, { mark, do: 'provider', provider: 'nobody"><script>' })
  expect(unknown.status).toBe(404)
  expect(unknown.text).not.toContain('<script>')
})

test('whoever is signed out, disabled or removed meanwhile goes no further', async () => {
  const [page, other] = [openVisitor(), openVisitor()]
  const link = linkOf('bob')
  await page.signIn(link, 'bob')
  const shown = await page.ask(link)
  expect(shown.text).toContain('Connect an account for notes')
  // What came from elsewhere stands there as text.
  expect(shown.text).toContain('Notes of &lt;b&gt;each&lt;/b&gt; person.')
  const stolen = page.cookies.get('castellan') ?? ''
  const back = await signInAtProvider(await page.agree(link), 'bob')
  expect(await page.post(link, { mark: (await page.ask(link)).mark, do: 'sign-out' })).toMatchObject({
    status: 303,
  })
  other.cookies.set('castellan', stolen)
  expect((await other.ask(link)).text).toContain('Sign in to Castellan')
  const late = await other.ask(back.href)
  expect([late.status, late.text.includes('not signed in')]).toEqual([400, true])
  await page.signIn(link, 'bob')
  const { mark } = await page.ask(link)
  await gate.daemon.apply([user('bob', { disabled: true })])
  expect(await page.post(link, { mark, do: 'connect' })).toMatchObject({ status: 303 })
  expect((await page.ask(link)).text).toContain('Sign in to Castellan')
  expect((await page.signIn(link, 'bob')).status).toBe(401)
  await gate.daemon.call('DELETE', '/api/v1/users/bob')
  expect((await page.signIn(link, 'bob')).status).toBe(401)
  expect(await ready()).toEqual(['user:mal'])
})

test('what has changed since somebody saw it, they see again; what is gone is gone', async () => {
  const ada = openVisitor()
  const link = linkOf('ada')
  await ada.signIn(link, 'ada')
  const { mark } = await ada.ask(link)
  const registered = provider.count('register')
  const auth = { grant: `oauth:${SERVER}`, whose: 'per-user' }
  await gate.daemon.apply([httpServer(SERVER, 'http://127.0.0.1:9/mcp', { auth })])
  const changed = await ada.post(link, { mark, do: 'connect' })
  expect(changed.status).toBe(412)
  expect(changed.text).toContain('127.0.0.1:9')
  await gate.daemon.apply([httpServer(SERVER, provider.url, { auth })])
  const again = (await ada.ask(link)).mark
  provider.demand('notes:write')
  expect((await ada.post(link, { mark: again, do: 'connect' })).status).toBe(412)
  expect((await ada.ask(link)).text).toContain('notes:write')
  expect(provider.count('register')).toBeLessThanOrEqual(registered + 1)
  for (const whose of ['shared', 'per-project']) {
    await gate.daemon.apply([httpServer(SERVER, provider.url, { auth: { grant: auth.grant, whose } })])
    expect((await ada.ask(link)).status).toBe(410)
  }
  expect(await ready()).toEqual(['user:mal'])
})

test('a link for the administrator of the host works on the host alone, and asks before it does anything', async () => {
  const auth = { grant: 'mcp:local', header: 'x-key', format: 'raw', whose: 'per-user' }
  await gate.daemon.apply([httpServer('local', provider.url, { auth }), project('own', ['local'])])
  const link = await linkFor(await gate.access('own'), 'local__connect')
  const admin = openVisitor()
  const { status, text, mark } = await admin.ask(link)
  expect([status, text.includes('Connect an account for local')]).toEqual([200, true])
  const headers = { cookie: `castellan=${admin.cookies.get('castellan') ?? ''}` }
  for (const more of [
    { 'x-forwarded-for': '203.0.113.9' },
    { forwarded: 'for=203.0.113.9' },
    { via: '1.1 proxy' },
  ]) {
    expect((await admin.ask(link, { headers: Object.assign({}, headers, more) })).status).toBe(403)
    const form = { mark, do: 'connect', 'value.token': 'a-key' }
    expect((await admin.post(link, form, Object.assign({}, headers, more))).status).toBe(303)
  }
  expect((await grants()).map(({ name }) => name)).not.toContain('mcp:local')
  for (const token of ['', 'a key', 'a\r\nkey', 'x'.repeat(20_000)])
    expect((await admin.post(link, { mark, do: 'connect', 'value.token': token })).status).toBe(400)
  const known = { mark, do: 'connect', 'value.token': 'a-key' }
  expect((await admin.post(link, Object.assign({ 'value.more': 'x' }, known))).status).toBe(400)
  expect((await admin.post(link, known)).status).toBe(303)
  expect(await ready()).toEqual(expect.arrayContaining(['local-admin', 'user:mal']))
})

test('what leans on the machine of the daemon is not given on a page, also not past it', async () => {
  const auth = { grant: 'ssh:host.example', header: 'x-key', format: 'raw', whose: 'per-user' }
  await gate.daemon.apply([httpServer(SERVER, provider.url, { auth })])
  const [ada, link] = [openVisitor(), linkOf('ada')]
  await ada.signIn(link, 'ada')
  const { text, mark } = await ada.ask(link)
  expect(text).toContain('cannot be connected at the moment')
  const form = { mark, do: 'connect', 'value.key': 'SHA256:abc', 'value.fingerprint': 'SHA256:abc' }
  expect((await ada.post(link, form)).status).toBe(400)
  expect((await grants()).map(({ name }) => name)).not.toContain('ssh:host.example')
})

test('an edge has no such pages', async () => {
  const edge = await startEdge(gate.daemon.origin, { keeps: false })
  const { pathname } = new URL(linkOf('ada'))
  expect((await fetch(new URL(pathname, edge.origin))).status).toBe(404)
  await edge.stop()
})

test('guessing passwords on the page is slowed down, as everywhere, and is on the record', async () => {
  const guesser = openVisitor()
  const link = linkOf('ada')
  const { mark } = await guesser.ask(link)
  const answers: number[] = []
  for (let i = 0; i < 30 && !answers.includes(429); i++)
    answers.push(
      (await guesser.post(link, { mark, do: 'password', user: 'ada', password: `wrong ${i}` })).status,
    )
  expect(new Set(answers)).toEqual(new Set([401, 429]))
  await until('it is on the record', async () => {
    const { items } = (await gate.daemon.call('GET', '/api/v1/audit?limit=500')) as { items: Json[] }
    return items.some((item) => item['event'] === 'sign-in password' && item['user'] === undefined)
  })
}, 60_000)
