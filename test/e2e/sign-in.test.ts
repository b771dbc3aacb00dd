import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { signInAtProvider, startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { runInMemory } from './cli-in-memory.ts'
import {
  ask,
  bringBack,
  codeIn,
  connectProvider,
  finishSignIn,
  login,
  signInBy,
  startSignIn,
} from './sign-in-harness.ts'

let home = ''
let daemon: Daemon
let provider: OidcProvider
let admin = ''

const PASSWORD = 'correct horse battery staple'
const user = (name: string, spec: Readonly<Record<string, unknown>> = {}) => ({
  kind: 'User',
  metadata: { name },
  spec,
})

async function userWithPassword(name: string, password = PASSWORD): Promise<void> {
  await daemon.apply([user(name)])
  await daemon.call('POST', `/api/v1/users/${name}/password`, { password })
}

const credentialOf = (reply: { readonly body: Readonly<Record<string, unknown>> }): string =>
  String(reply.body['credential'])

const whoIs = (credential: string) => ask(daemon.origin, ['GET', '/api/v1/auth/me'], undefined, credential)

beforeAll(async () => {
  home = await makeHome()
  provider = await startOidcProvider({
    accounts: {
      'sub-grace': {
        email: 'Grace@Example.com',
        email_verified: true,
        name: 'Grace Hopper',
        groups: ['engineers'],
      },
      'sub-twin': { email: 'twin@example.com', email_verified: true },
      'sub-linus': { email: 'linus@example.com', email_verified: true },
      'sub-mallory': { email: 'ada@example.com', email_verified: false },
      'sub-barbara': { email: 'barbara@elsewhere.example', email_verified: true },
    },
  })
  daemon = await startDaemon(home)
  admin = (await readFile(join(home, 'admin-credential'), 'utf8')).trim()
})

afterAll(async () => {
  await daemon.stop()
  await provider.close()
  await removeHome(home)
})

describe('with a password', () => {
  test('a user signs in, is known by the credential, and signs out', async () => {
    await userWithPassword('ada')
    const signedIn = await login(daemon.origin, 'Ada', PASSWORD)
    expect(signedIn).toMatchObject({ status: 200, body: { user: 'ada' } })
    expect(credentialOf(signedIn)).toMatch(/^css_[\w-]{43}$/)
    expect(await whoIs(credentialOf(signedIn))).toMatchObject({
      status: 200,
      body: { name: 'ada', method: 'password', expiresAt: signedIn.body['expiresAt'] },
    })
    const logout = await ask(
      daemon.origin,
      ['POST', '/api/v1/auth/logout'],
      undefined,
      credentialOf(signedIn),
    )
    expect(logout).toMatchObject({ status: 200, body: { action: 'signed-out' } })
    expect(await whoIs(credentialOf(signedIn))).toMatchObject({ status: 401 })
    const shown = (await daemon.call('GET', '/api/v1/users/ada')) as { status: object }
    expect(shown.status).toMatchObject({ password: true, lastSignInAt: expect.stringMatching(/^20/) })
    expect(JSON.stringify(shown)).not.toContain('argon2')
  })

  test('wrong, unknown, disabled and without one get the very same answer', async () => {
    await userWithPassword('dis')
    await daemon.apply([user('dis', { disabled: true }), user('bare')])
    const answers = await Promise.all(
      [
        login(daemon.origin, 'ada', 'wrong horse battery staple'),
        login(daemon.origin, 'nobody', PASSWORD),
        login(daemon.origin, 'dis', PASSWORD),
        login(daemon.origin, 'bare', PASSWORD),
        login(daemon.origin, 'no name: "{}"', PASSWORD),
        login(daemon.origin, 'ada', 'control\u0007character'),
      ].map(async (answer) => {
        const { status, body } = await answer
        return { status, body }
      }),
    )
    expect(answers[0]).toMatchObject({ status: 401, body: { code: 'sign_in_refused' } })
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('setting another ends all sign-ins but the present one, and needs the present password', async () => {
    await userWithPassword('eve')
    const [here, elsewhere] = [
      await login(daemon.origin, 'eve', PASSWORD),
      await login(daemon.origin, 'eve', PASSWORD),
    ].map(credentialOf)
    const set = (body: object) => ask(daemon.origin, ['POST', '/api/v1/users/eve/password'], body, here)
    const next = 'a new and longer pass phrase'
    expect(await set({ password: next })).toMatchObject({ status: 400 })
    expect(await set({ password: next, current: 'not the present one' })).toMatchObject({ status: 400 })
    expect(await set({ password: 'short', current: PASSWORD })).toMatchObject({ status: 400 })
    expect(await whoIs(elsewhere ?? '')).toMatchObject({ status: 200 })
    expect(await set({ password: next, current: PASSWORD })).toMatchObject({ status: 200 })
    expect(await whoIs(here ?? '')).toMatchObject({ status: 200 })
    expect(await whoIs(elsewhere ?? '')).toMatchObject({ status: 401 })
    expect(await login(daemon.origin, 'eve', PASSWORD)).toMatchObject({ status: 401 })
    expect(await login(daemon.origin, 'eve', next)).toMatchObject({ status: 200 })
  })

  test('of others it is set only by who may edit them and has all that they have', async () => {
    await userWithPassword('helpdesk')
    await daemon.apply([
      user('boss'),
      user('guest'),
      {
        kind: 'RoleBinding',
        metadata: { name: 'helpdesk' },
        spec: {
          subjects: [{ kind: 'User', name: 'helpdesk' }],
          bindings: [
            { role: 'edit', resource: 'users' },
            { role: 'view', resource: 'users' },
          ],
        },
      },
      {
        kind: 'RoleBinding',
        metadata: { name: 'boss' },
        spec: {
          subjects: [{ kind: 'User', name: 'boss' }],
          bindings: [{ role: 'edit', resource: 'secrets' }],
        },
      },
    ])
    const credential = credentialOf(await login(daemon.origin, 'helpdesk', PASSWORD))
    const set = (name: string, by: string) =>
      ask(daemon.origin, ['POST', `/api/v1/users/${name}/password`], { password: PASSWORD }, by)
    expect(await set('guest', credential)).toMatchObject({ status: 200 })
    expect(await set('boss', credential)).toMatchObject({ status: 403 })
    const guest = credentialOf(await login(daemon.origin, 'guest', PASSWORD))
    expect(await set('boss', guest)).toMatchObject({ status: 404 })
    expect(await set('nobody', guest)).toMatchObject({ status: 404 })
  })

  test('a sign-in that is deleted, and one of a user who is deleted, is over at once', async () => {
    await userWithPassword('gone')
    const first = credentialOf(await login(daemon.origin, 'gone', PASSWORD))
    const { body } = await whoIs(first)
    await daemon.call('DELETE', `/api/v1/signins/${String(body['signIn'])}`)
    expect(await whoIs(first)).toMatchObject({ status: 401 })
    const second = credentialOf(await login(daemon.origin, 'gone', PASSWORD))
    await daemon.call('DELETE', '/api/v1/users/gone')
    expect(await whoIs(second)).toMatchObject({ status: 401 })
    await daemon.apply([user('gone')])
    expect(await whoIs(second)).toMatchObject({ status: 401 })
    expect(await login(daemon.origin, 'gone', PASSWORD)).toMatchObject({ status: 401 })
  })

  test('the command line makes users and sets passwords, which come on standard input', async () => {
    const run = (argv: readonly string[], stdin: string, credential?: string) =>
      runInMemory(argv, {
        stdin,
        env: {
          CASTELLAN_URL: daemon.origin,
          CASTELLAN_TOKEN: credential ?? admin,
        },
      })
    const made = await run(['create', 'user', 'hedy', '--password-stdin'], `${PASSWORD}\n`)
    expect(made).toMatchObject({ code: 0, out: 'user/hedy created\npassword of user/hedy set\n' })
    const hedy = credentialOf(await login(daemon.origin, 'hedy', PASSWORD))
    const next = 'frequency hopping spread spectrum'
    expect(await run(['set-password'], `${PASSWORD}\n${next}\n`, hedy)).toMatchObject({ code: 0, err: '' })
    expect(await login(daemon.origin, 'hedy', next)).toMatchObject({ status: 200 })
    expect(await run(['set-password', 'hedy'], 'short\n')).toMatchObject({ code: 2 })
    expect(await run(['set-password', 'hedy'], `${PASSWORD}\n`)).toMatchObject({ code: 0 })
    expect(await login(daemon.origin, 'hedy', next)).toMatchObject({ status: 401 })
    const nameless = await run(['set-password'], `${PASSWORD}\n`)
    expect(nameless).toMatchObject({ code: 2, err: expect.stringContaining('castellan set-password NAME') })
  })

  test('bodies that are none are refused without an echo', async () => {
    for (const body of [
      { user: 'ada' },
      { user: 1, password: 'planted-1' },
      { user: 'ada', password: 'x', planted: 1 },
    ])
      expect(await ask(daemon.origin, ['POST', '/api/v1/auth/login'], body)).toMatchObject({ status: 400 })
    const long = await login(daemon.origin, 'ada', 'planted-2'.repeat(10_000))
    expect(long.status).toBe(413)
    expect(JSON.stringify(long.body)).not.toContain('planted')
  })
})

describe('at an identity provider', () => {
  test('a first sign-in makes the User, with groups; the second finds them by their subject', async () => {
    await connectProvider(daemon, provider)
    const ways = await ask(daemon.origin, ['GET', '/api/v1/auth/providers'])
    expect(ways.body).toEqual({ passwords: true, providers: [{ name: 'corp' }] })
    await daemon.apply([
      { kind: 'Group', metadata: { name: 'eng' }, spec: { claims: ['engineers'] } },
      {
        kind: 'RoleBinding',
        metadata: { name: 'eng' },
        spec: {
          subjects: [{ kind: 'Group', name: 'eng' }],
          bindings: [{ role: 'view', resource: 'servers' }],
        },
      },
    ])
    const first = await signInBy(daemon.origin, 'corp', 'sub-grace')
    expect(first).toMatchObject({ status: 200, body: { user: 'grace@example.com' } })
    expect(await whoIs(credentialOf(first))).toMatchObject({
      body: { name: 'grace@example.com', method: 'corp', groups: ['eng'] },
    })
    const list = await ask(daemon.origin, ['GET', '/api/v1/servers'], undefined, credentialOf(first))
    expect(list.status).toBe(200)
    const made = (await daemon.call('GET', '/api/v1/users/grace@example.com')) as {
      metadata: { uid: string }
    }
    expect(made).toMatchObject({
      spec: { displayName: 'Grace Hopper', identity: { provider: 'corp', subject: 'sub-grace' } },
      status: { claims: ['engineers'] },
    })
    expect(await signInBy(daemon.origin, 'corp', 'sub-grace')).toMatchObject({ status: 200 })
    const again = (await daemon.call('GET', '/api/v1/users/grace@example.com')) as typeof made
    expect(again.metadata.uid).toBe(made.metadata.uid)
  })

  test('whoever signs in for the first time at several places at once is one User', async () => {
    const all = await Promise.all(
      Array.from({ length: 4 }, () => signInBy(daemon.origin, 'corp', 'sub-twin')),
    )
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    for (const reply of all) expect(await whoIs(credentialOf(reply))).toMatchObject({ status: 200 })
  })

  test('the browser is sent to the port of the command line, on its own machine and nowhere else', async () => {
    const started = await startSignIn(daemon.origin, 'corp', 40_123)
    const { status, location } = await bringBack(await signInAtProvider(started.url, 'sub-grace'))
    expect({ status, origin: location?.origin }).toEqual({ status: 302, origin: 'http://127.0.0.1:40123' })
    const code = location?.searchParams.get('code') ?? ''
    expect(await finishSignIn(daemon.origin, started, code)).toMatchObject({ status: 200 })
  })

  test('a code is good once, with its own attempt and verifier, and not after five wrong tries', async () => {
    const [one, other] = [await startSignIn(daemon.origin, 'corp'), await startSignIn(daemon.origin, 'corp')]
    const back = await signInAtProvider(one.url, 'sub-grace')
    const code = codeIn((await bringBack(back)).text)
    expect(await finishSignIn(daemon.origin, other, code)).toMatchObject({ status: 401 })
    const stolen = { attempt: one.attempt, verifier: other.verifier }
    expect(await finishSignIn(daemon.origin, stolen, code)).toMatchObject({ status: 401 })
    expect(await finishSignIn(daemon.origin, one, code)).toMatchObject({ status: 200 })
    expect(await finishSignIn(daemon.origin, one, code)).toMatchObject({ status: 401 })
    expect(await bringBack(back)).toMatchObject({ status: 400 })

    const guessed = await startSignIn(daemon.origin, 'corp')
    const good = codeIn((await bringBack(await signInAtProvider(guessed.url, 'sub-grace'))).text)
    for (let i = 0; i < 5; i++)
      expect(await finishSignIn(daemon.origin, guessed, 'A'.repeat(43))).toMatchObject({ status: 401 })
    expect(await finishSignIn(daemon.origin, guessed, good)).toMatchObject({ status: 401 })
  })

  test('nobody becomes a User who is there already, until an administrator links them', async () => {
    await daemon.apply([user('linus@example.com')])
    const refused = await signInBy(daemon.origin, 'corp', 'sub-linus')
    expect(refused).toMatchObject({ status: 401, body: { code: 'sign_in_refused' } })
    expect(String(refused.body['hint'])).toContain('"sub-linus"')
    await daemon.apply([user('linus@example.com', { identity: { provider: 'corp', subject: 'sub-linus' } })])
    expect(await signInBy(daemon.origin, 'corp', 'sub-linus')).toMatchObject({
      status: 200,
      body: { user: 'linus@example.com' },
    })
    await daemon.apply([
      user('linus@example.com', { disabled: true, identity: { provider: 'corp', subject: 'sub-linus' } }),
    ])
    expect(await signInBy(daemon.origin, 'corp', 'sub-linus')).toMatchObject({ status: 401 })
  })

  test('an address that is not verified is none, and a domain that is not wanted is refused', async () => {
    const mallory = await startSignIn(daemon.origin, 'corp')
    const page = await bringBack(await signInAtProvider(mallory.url, 'sub-mallory'))
    expect(page).toMatchObject({ status: 400 })
    expect(page.text).toContain('no mail address that it has verified')
    await connectProvider(daemon, provider, { domains: ['example.com'], users: 'existing' }, 'narrow')
    const barbara = await startSignIn(daemon.origin, 'narrow', 40_124)
    const { location } = await bringBack(await signInAtProvider(barbara.url, 'sub-barbara'))
    expect(location?.searchParams.get('error')).toContain('in no domain')
    const unknown = await signInBy(daemon.origin, 'narrow', 'sub-grace')
    expect(unknown).toMatchObject({ status: 401 })
    expect(String(unknown.body['hint'])).toContain('none is made by signing in')
  })

  test('the record says who signed in and how, and whose password was changed', async () => {
    const { items } = (await daemon.call('GET', '/api/v1/audit?limit=500')) as {
      items: readonly { event: string; decision: string; target?: string }[]
    }
    const events = new Set(items.map(({ event, target }) => `${event} ${target ?? ''}`.trim()))
    expect([...events]).toEqual(
      expect.arrayContaining([
        'sign-in password ada',
        'sign-out password ada',
        'edit passwords eve',
        'create users grace@example.com',
        'sign-in corp grace@example.com',
      ]),
    )
  })
})
