import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { findChromium, startChromium } from '../fixtures/chromium.ts'
import { startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  accessOf,
  connectAccount,
  furnish,
  legacyAgent,
  linkIn,
  logInAtProvider,
  modernAgent,
  openBrowser,
  PASSWORD,
  says,
  setPassword,
  signInWithPassword,
  user,
  whoIn,
} from './credentials-connect-harness.ts'
import {
  httpServer,
  project,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
} from './gateway-harness.ts'
import { ask, connectProvider, login } from './sign-in-harness.ts'

// Done when 3 of the issue of credentials: everybody reaches one server with an account of their own, and whoever has
// connected none is led to where they can, in the way that their client knows.

const found = findChromium()
/** As if somebody had removed the user while no daemon ran. */
function forget(home: string, name: string): void {
  const database = new DatabaseSync(join(home, 'control.db'))
  database.prepare("DELETE FROM resources WHERE kind = 'User' AND name = ?").run(name)
  database.close()
}

const PEOPLE = ['ada', 'bob', 'dee', 'eve', 'fay']

describe.skipIf(found === undefined)('accounts of their own', () => {
  let provider: ResourceProvider
  let company: OidcProvider
  let upstream: Upstream
  let gate: Gate
  let browser: Browser
  const access = new Map<string, Access>()

  beforeAll(async () => {
    provider = await startResourceProvider({ accounts: [...PEOPLE, 'cy'] })
    company = await startOidcProvider({
      accounts: {
        'sub-cy': { email: 'cy@example.com', email_verified: true },
        'sub-new': { email: 'new@example.com', email_verified: true },
      },
    })
    upstream = await startUpstream({ style: 'modern', name: 'keys' })
    gate = await startGate([project('empty', [])])
    await connectProvider(gate.daemon, company)
    const keys = { grant: 'mcp:keys', header: 'x-keys', format: 'raw', whose: 'per-user' }
    await furnish(
      gate.daemon,
      provider,
      [
        ...PEOPLE.map((name) => user(name)),
        user('cy', { identity: { provider: 'corp', subject: 'sub-cy' } }),
      ],
      [httpServer('keys', upstream.url, { auth: keys })],
    )
    for (const name of PEOPLE) await setPassword(gate.daemon, name)
    for (const name of [...PEOPLE, 'cy']) access.set(name, await accessOf(gate.daemon, name))
    browser = await startChromium(found ?? '')
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await gate?.end()
    await Promise.all([provider, company, upstream].map((one) => one?.close()))
  })

  const accessFor = (name: string): Access => access.get(name) ?? { url: '', token: '' }

  async function record(event: string): Promise<readonly Json[]> {
    const { items } = (await gate.daemon.call('GET', '/api/v1/audit?limit=500')) as { items: Json[] }
    return items.filter((item) => item['event'] === event)
  }

  /** The first of theirs, by whatever client. */
  async function linkFor(name: string, tool = 'notes__connect'): Promise<string> {
    const agent = await legacyAgent(accessFor(name), false)
    const said = await agent.call(tool)
    await agent.close()
    return linkIn(JSON.stringify(said))
  }

  test('two connect theirs, and each call carries its own', async () => {
    for (const name of ['ada', 'bob']) {
      const page = await openBrowser(browser)
      await connectAccount(page, await linkFor(name), name)
      await page.context().close()
    }
    const [ada, bob] = [await modernAgent(accessFor('ada')), await legacyAgent(accessFor('bob'))]
    for (const [agent, subject] of [
      [ada, 'ada'],
      [bob, 'bob'],
      [ada, 'ada'],
    ] as const)
      expect(whoIn(await agent.call('notes__whoami'))).toMatchObject({ subject })
    const both = await Promise.all([ada, bob, ada, bob].map((agent) => agent.call('notes__whoami')))
    expect(both.map((said) => whoIn(said)['subject'])).toEqual(['ada', 'bob', 'ada', 'bob'])
    await Promise.all([ada.close(), bob.close()])
  }, 60_000)

  test('a modern client: a third gets the link, signs in with the company, connects, and the waiting call completes', async () => {
    const page = await openBrowser(browser)
    let walked: Promise<void> | undefined
    const cy = await modernAgent(accessFor('cy'), (url) => {
      walked = (async () => {
        await page.goto(url)
        await page.getByRole('button', { name: 'Sign in with corp' }).click()
        await logInAtProvider(page, 'sub-cy')
        await page.getByRole('button', { name: /^Continue to / }).click()
        await logInAtProvider(page, 'cy')
        await page.getByRole('heading', { name: 'Connected' }).waitFor()
      })()
      return walked
    })
    await cy.watchTools()
    expect((await cy.tools()).filter((name) => name.startsWith('notes'))).toEqual(['notes__connect'])
    expect(whoIn(await cy.call('notes__whoami'))).toMatchObject({ subject: 'cy' })
    await walked
    expect(cy.opened).toEqual([expect.stringMatching(/\/connect\/cco1\./)])
    await until('the list has changed', () => cy.changes > 0)
    expect(await cy.tools()).toContain('notes__whoami')
    expect(await cy.tools()).not.toContain('notes__connect')
    await Promise.all([cy.close(), page.context().close()])
  }, 60_000)

  test.each(['decline', 'cancel'] as const)(
    'a modern client whose user says no (%s) is not asked again: the link stands in the error of the tool',
    async (action) => {
      const fay = await modernAgent(accessFor('fay'), undefined, action)
      for (const name of ['notes__whoami', 'notes__connect']) {
        const said = await fay.call(name)
        expect(said).toMatchObject({ isError: true })
        expect(JSON.stringify(said)).toMatch(/\/connect\/cco1\./)
      }
      expect(fay.opened).toHaveLength(2)
      await fay.close()
    },
  )

  test('a client of 2025-11-25: it gets the link in an error, is told when it is done, and tries again', async () => {
    const dee = await legacyAgent(accessFor('dee'))
    const refused = await dee.call('notes__whoami').catch((thrown: unknown) => thrown as Json)
    expect(refused).toMatchObject({ code: -32042 })
    const [{ url, elicitationId }] = dee.elicitations(refused)
    const page = await openBrowser(browser)
    await connectAccount(page, url, 'dee')
    await until('it was told', () => dee.completed.length > 0)
    expect(dee.completed).toEqual([elicitationId])
    await until('the list has changed', () => dee.changes > 0)
    expect(whoIn(await dee.call('notes__whoami'))).toMatchObject({ subject: 'dee' })
    expect(await dee.tools()).toContain('notes__whoami')
    await Promise.all([dee.close(), page.context().close()])
  }, 60_000)

  test('an older client: the link stands in the error of the tool, for its user to open', async () => {
    const eve = await legacyAgent(accessFor('eve'), false)
    expect((await eve.tools()).filter((name) => name.startsWith('notes'))).toEqual(['notes__connect'])
    const refused = await eve.call('notes__whoami')
    expect(refused).toMatchObject({ isError: true })
    const page = await openBrowser(browser)
    await connectAccount(page, linkIn(JSON.stringify(refused)), 'eve')
    expect(whoIn(await eve.call('notes__whoami'))).toMatchObject({ subject: 'eve' })
    expect(await eve.tools()).toContain('notes__whoami')
    await Promise.all([eve.close(), page.context().close()])
  }, 60_000)

  test('a key is given on the page, with the same checks as on the command line, and is in no page', async () => {
    const page = await openBrowser(browser)
    await page.goto(await linkFor('ada', 'keys__connect'))
    await signInWithPassword(page, 'ada')
    await page.getByLabel('Key of the server').fill('two words')
    await page.getByRole('button', { name: 'Connect', exact: true }).click()
    expect(await says(page)).toContain('holds a space')
    expect(await page.content()).not.toContain('two words')
    await page.getByLabel('Key of the server').fill('key-of-ada')
    await page.getByRole('button', { name: 'Connect', exact: true }).click()
    await page.getByRole('heading', { name: 'Connected' }).waitFor()
    expect(await page.content()).not.toContain('key-of-ada')
    const ada = await modernAgent(accessFor('ada'))
    await ada.call('keys__echo', { message: 'hi' })
    expect(upstream.last('tools/call')?.headers['x-keys']).toBe('key-of-ada')
    await Promise.all([ada.close(), page.context().close()])
  }, 60_000)

  test('whoever signs in, or is signed in, and is somebody else is told so; whose link it is stands nowhere', async () => {
    const page = await openBrowser(browser)
    await page.goto(await linkFor('fay'))
    await signInWithPassword(page, 'bob')
    expect(await says(page)).toContain('This link was made for somebody else')
    await page.getByRole('button', { name: 'Sign in with corp' }).click()
    await logInAtProvider(page, 'sub-new')
    expect(await says(page)).toContain('This link is for somebody else')
    // Nobody was made by that.
    const { items } = (await gate.daemon.call('GET', '/api/v1/users')) as { items: Json[] }
    expect(items).toHaveLength(PEOPLE.length + 1)
    await page.goto(await linkFor('bob', 'keys__connect'))
    await signInWithPassword(page, 'bob')
    await page.goto(await linkFor('fay'))
    expect(await says(page)).toContain('This link is for somebody else')
    expect(await page.content()).not.toContain('fay')
    await page.getByRole('button', { name: 'Sign in as somebody else' }).click()
    await signInWithPassword(page, 'fay')
    expect(await says(page)).toContain('Connect an account for notes')
    await page.context().close()
  }, 60_000)

  test('what the person refuses is not connected, and said; going back and again connects it', async () => {
    const page = await openBrowser(browser)
    await page.goto(await linkFor('fay'))
    await signInWithPassword(page, 'fay')
    await page.getByRole('button', { name: /^Continue to / }).click()
    await page.click('a:has-text("Cancel")')
    expect(await says(page)).toContain('Not connected')
    await page.getByRole('link', { name: 'Try again' }).click()
    await page.getByRole('button', { name: /^Continue to / }).click()
    await logInAtProvider(page, 'fay')
    await page.getByRole('heading', { name: 'Connected' }).waitFor()
    await page.reload()
    expect(await says(page)).toContain('Connected')
    await page.context().close()
  }, 60_000)

  test('pages are in HTML that reads itself out, load nothing and run nothing', async () => {
    const page = await openBrowser(browser)
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).origin))
    await page.goto(await linkFor('bob', 'keys__connect'))
    expect(await page.evaluate('document.scripts.length')).toBe(0)
    expect(await page.evaluate('document.documentElement.lang + document.title')).toBe(
      'enSign in to Castellan · Castellan',
    )
    await signInWithPassword(page, 'bob')
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Connect an account for keys')
    await page.setViewportSize({ width: 320, height: 600 })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320)
    expect(new Set(asked)).toEqual(new Set([gate.daemon.origin]))
    await page.context().close()
  }, 60_000)

  test('its owner and an administrator end a connection: the next call is led to the page, at the issuer it is over', async () => {
    const signedIn = await login(gate.daemon.origin, 'ada', PASSWORD)
    const mine = String(signedIn.body['credential'])
    const [ada, bob] = [
      await legacyAgent(accessFor('ada'), false),
      await legacyAgent(accessFor('bob'), false),
    ]
    for (const agent of [ada, bob]) expect(await agent.call('notes__whoami')).not.toHaveProperty('isError')
    const before = provider.count('revoke')
    const gone = await ask(
      gate.daemon.origin,
      ['DELETE', '/api/v1/grants/oauth:notes?for=me'],
      undefined,
      mine,
    )
    expect(gone).toMatchObject({ status: 200, body: { revoked: true } })
    expect(linkIn(JSON.stringify(await ada.call('notes__whoami')))).not.toBe('')
    expect(await bob.call('notes__whoami')).not.toHaveProperty('isError')
    // Nobody ends what is somebody else's.
    const others = ['DELETE', '/api/v1/grants/oauth:notes?for=user:bob'] as const
    expect(await ask(gate.daemon.origin, others, undefined, mine)).toMatchObject({ status: 403 })
    await gate.daemon.call(...others)
    expect(linkIn(JSON.stringify(await bob.call('notes__whoami')))).not.toBe('')
    expect(provider.count('revoke')).toBeGreaterThanOrEqual(before + 2)
    expect(await ada.tools()).toContain('notes__connect')
    await Promise.all([ada.close(), bob.close()])
  })

  test('who has connected, and who could not, is on the record, with how they signed in', async () => {
    const made = await record('create grants')
    for (const name of ['ada', 'cy', 'dee', 'fay'])
      expect(made.filter((item) => item['user'] === name && item['status'] === 'ok')).not.toEqual([])
    expect(made.filter((item) => item['user'] === 'fay' && item['status'] === 'error')).not.toEqual([])
    expect(made.filter((item) => item['decision'] === 'deny' && item['user'] === 'bob')).not.toEqual([])
    expect(await record('sign-in password')).not.toEqual([])
    expect((await record('sign-in corp')).map((item) => item['user'])).toEqual(['cy'])
  })

  test('with a user, a project or a service account go their grants, also those of whoever went while nobody looked', async () => {
    const holders = async (): Promise<unknown[]> => {
      const { items } = (await gate.daemon.call('GET', '/api/v1/grants?for=all')) as { items: Json[] }
      return items.map(({ holder }) => holder)
    }
    await gate.daemon.apply([
      project('short', []),
      { kind: 'ServiceAccount', metadata: { name: 'bot' }, spec: {} },
    ])
    for (const whose of ['project:short', 'service-account:bot'])
      await gate.daemon.call('PUT', '/api/v1/grants/mcp:keys', {
        for: whose,
        values: { token: 'one-of-theirs' },
        server: 'keys',
      })
    expect(await holders()).toEqual(
      expect.arrayContaining(['user:cy', 'project:short', 'service-account:bot']),
    )
    const before = provider.count('revoke')
    await gate.daemon.call('DELETE', '/api/v1/users/cy')
    await gate.daemon.call('DELETE', '/api/v1/projects/short')
    await gate.daemon.call('DELETE', '/api/v1/serviceaccounts/bot')
    await until('they are gone', async () => {
      const left = await holders()
      return !left.some((holder) => /cy|usr_|short|prj_|bot|sva_/.test(String(holder)))
    })
    expect(provider.count('revoke')).toBeGreaterThan(before)
    expect(await holders()).toContain('user:dee')
    await gate.daemon.stop()
    forget(gate.daemon.home, 'dee')
    await gate.restart('SIGTERM')
    await until(
      'it is gone',
      async () => !(await holders()).some((holder) => /dee|usr_/.test(String(holder))),
    )
    expect(await holders()).toContain('user:eve')
  }, 60_000)
})
