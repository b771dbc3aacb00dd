import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { findChromium, startChromium } from '../fixtures/chromium.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import { authorize, grantOf, typeGrant, whoami, type Typed } from './credentials-harness.ts'
import { httpServer, project, startGate, type Gate, type Json } from './gateway-harness.ts'

/* What a person does in a browser to give a grant: well, badly, twice and backwards. */

const found = findChromium()

describe.skipIf(found === undefined)('the browser leg, in Chromium', () => {
  let provider: ResourceProvider
  let gate: Gate
  let browser: Browser

  beforeAll(async () => {
    provider = await startResourceProvider()
    gate = await startGate([project('empty', [])])
    browser = await startChromium(found ?? '')
  })
  afterAll(async () => {
    await browser?.close()
    await gate?.end()
    await provider?.close()
  })

  interface Grant {
    /** Types the command, and gives what is to be opened. */
    readonly type: () => Promise<Typed>
    readonly who: () => ReturnType<typeof whoami>
    readonly state: () => Promise<unknown>
  }

  /** A Server with a grant of its own, which nobody has given yet. */
  async function server(name: string): Promise<Grant> {
    await gate.daemon.apply([
      httpServer(name, provider.url, { auth: { grant: `oauth:${name}` } }),
      project(name, [name]),
    ])
    const access = await gate.access(name, name)
    return {
      type: () => typeGrant(gate.daemon, [name, '--server', name]),
      who: () => whoami(access),
      state: async () => (await grantOf(gate.daemon, `oauth:${name}`))['state'],
    }
  }

  /** A page of somebody who is logged in nowhere yet. */
  const openPage = async (): Promise<Page> => (await browser.newContext()).newPage()

  async function logIn(page: Page, url: string, name: string): Promise<void> {
    await page.goto(url)
    await page.fill('input[name=login]', name)
    await page.fill('input[name=password]', 'anything')
    await page.click('button[type=submit]')
  }

  const consent = (page: Page): Promise<void> => page.click('button:has-text("Continue")')
  const says = (page: Page): Promise<string> => page.innerText('body')

  test('login, consent, and a page that says that it is done', async () => {
    const grant = await server('plain')
    const { url, ended } = await grant.type()
    const page = await openPage()
    await logIn(page, url, 'ada')
    expect(await says(page)).toContain('notes:read')
    await consent(page)
    expect(await says(page)).toContain('oauth:plain is authorized')
    expect(await ended).toMatchObject({ status: 0 })
    expect(await grant.who()).toMatchObject({ subject: 'ada' })
    await page.context().close()
  })

  test('the last page asks nobody for anything, and tells nobody where it is', async () => {
    const grant = await server('quiet')
    const { url, ended } = await grant.type()
    const page = await openPage()
    await logIn(page, url, 'ada')
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).origin))
    await consent(page)
    await page.waitForLoadState('networkidle')
    expect(await says(page)).toContain('is authorized')
    // From the provider's page on; what that one asks for is its own affair.
    expect(new Set(asked.slice(asked.indexOf(gate.daemon.origin)))).toEqual(new Set([gate.daemon.origin]))
    expect(await page.evaluate('document.scripts.length + document.cookie.length')).toBe(0)
    expect(await ended).toMatchObject({ status: 0 })
    await page.context().close()
  })

  test('the last page, loaded again or come back to, is refused and changes nothing', async () => {
    const grant = await server('again')
    const { url, ended } = await grant.type()
    const page = await openPage()
    await logIn(page, url, 'ada')
    await consent(page)
    expect(await ended).toMatchObject({ status: 0 })
    const codes = provider.count('code')
    const last = page.url()
    expect((await page.reload())?.status()).toBe(400)
    expect(await says(page)).toContain('belongs to no authorization that is under way')
    await page.goBack()
    await page.goto(last)
    expect(await says(page)).toContain('belongs to no authorization that is under way')
    expect(provider.count('code')).toBe(codes)
    expect(await grant.who()).toMatchObject({ subject: 'ada' })
    await page.context().close()
  })

  test('back from the consent page to the login, and on: it is still one authorization', async () => {
    const grant = await server('backwards')
    const { url, ended } = await grant.type()
    const page = await openPage()
    await logIn(page, url, 'ada')
    await page.goBack()
    await page.goto(url)
    await consent(page)
    expect(await says(page)).toContain('oauth:backwards is authorized')
    expect(await ended).toMatchObject({ status: 0 })
    expect(await grant.who()).toMatchObject({ subject: 'ada' })
    await page.context().close()
  })

  test('who says no is told so, and what there was goes on working', async () => {
    const grant = await server('denied')
    const first = await grant.type()
    const page = await openPage()
    await logIn(page, first.url, 'ada')
    await page.click('a:has-text("Cancel")')
    expect(await says(page)).toContain('This grant is not authorized')
    const ended = await first.ended
    expect(ended.status).not.toBe(0)
    expect(ended.errors).toContain('start it again with the same command')
    expect(await grant.state()).toBe('waiting')
    await authorize(gate.daemon, 'denied')
    const second = await grant.type()
    await page.goto(second.url)
    await page.click('a:has-text("Cancel")')
    expect((await second.ended).status).not.toBe(0)
    expect(await grant.state()).toBe('ready')
    expect(await grant.who()).toMatchObject({ subject: 'ada' })
    await page.context().close()
  })

  test('two who authorize one grant at once: each ends well, and the last one counts', async () => {
    const grant = await server('both')
    const [ada, bob] = [await grant.type(), await grant.type()]
    const [adaPage, bobPage] = [await openPage(), await openPage()]
    await Promise.all([logIn(adaPage, ada.url, 'ada'), logIn(bobPage, bob.url, 'bob')])
    await consent(bobPage)
    expect(await bob.ended).toMatchObject({ status: 0 })
    expect(await grant.who()).toMatchObject({ subject: 'bob' })
    await consent(adaPage)
    expect(await ada.ended).toMatchObject({ status: 0 })
    expect(await grant.who()).toMatchObject({ subject: 'ada' })
    await adaPage.context().close()
    await bobPage.context().close()
  })

  test('two grants in two tabs of one browser do not mix', async () => {
    const [one, other] = [await server('tab-one'), await server('tab-other')]
    const [first, second] = [await one.type(), await other.type()]
    const page = await openPage()
    const tab = await page.context().newPage()
    await page.goto(first.url)
    await tab.goto(second.url)
    await logIn(tab, second.url, 'bob')
    await consent(tab)
    expect(await says(tab)).toContain('oauth:tab-other is authorized')
    await page.goto(first.url)
    await consent(page)
    expect(await says(page)).toContain('oauth:tab-one is authorized')
    for (const { ended } of [first, second]) expect(await ended).toMatchObject({ status: 0 })
    for (const grant of [one, other]) expect(await grant.who()).toMatchObject({ subject: 'bob' })
    await page.context().close()
  })

  test('an answer that somebody else sends the browser to is refused', async () => {
    const grant = await server('forged')
    const { url } = await grant.type()
    const page = await openPage()
    const forged = new URL(`/oauth/callback/forged`, gate.daemon.origin)
    const answers: Json[] = [
      { code: 'stolen', state: 'guessed', iss: provider.issuer },
      { error: 'access_denied', state: 'guessed', iss: provider.issuer },
      { code: 'stolen' },
    ]
    for (const answer of answers) {
      forged.search = new URLSearchParams(answer as Record<string, string>).toString()
      expect((await page.goto(forged.href))?.status()).toBe(400)
      expect(await says(page)).not.toContain('guessed')
    }
    await logIn(page, url, 'ada')
    await consent(page)
    expect(await says(page)).toContain('oauth:forged is authorized')
    await page.context().close()
  })
})
