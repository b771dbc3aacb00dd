import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { findChromium, startChromium } from '../fixtures/chromium.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import {
  accessOf,
  connectAccount,
  furnish,
  legacyAgent,
  modernAgent,
  openBrowser,
  setPassword,
  user,
  whoIn,
} from './credentials-connect-harness.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'
import { until, type Access, type Json } from './gateway-harness.ts'

// Two daemons on one database: agents call at the one, their users are led to the other.

const found = findChromium()

describe.skipIf(found === undefined)('accounts of their own, at two daemons', () => {
  let provider: ResourceProvider
  let fleet: Fleet
  let browser: Browser
  const access = new Map<string, Access>()

  beforeAll(async () => {
    provider = await startResourceProvider()
    fleet = await startFleet()
    await furnish(
      fleet.a,
      provider,
      ['ada', 'bob'].map((name) => user(name)),
    )
    for (const name of ['ada', 'bob']) {
      await setPassword(fleet.a, name)
      access.set(name, await accessOf(fleet.a, name))
    }
    browser = await startChromium(found ?? '')
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await fleet?.end()
    await provider?.close()
  })

  const accessFor = (name: string): Access => access.get(name) ?? { url: '', token: '' }
  const atOther = (url: string): string => {
    expect(new URL(url).origin).toBe(fleet.a.origin)
    return url.replace(fleet.a.origin, fleet.b.origin)
  }
  const holders = async (): Promise<unknown[]> => {
    const { items } = (await fleet.b.call('GET', '/api/v1/grants?for=all')) as { items: Json[] }
    return items.map(({ holder }) => holder)
  }

  test('the page, the sign-in and the way back are at the other daemon, and the call that waits at this one completes', async () => {
    const page = await openBrowser(browser)
    let walked: Promise<void> | undefined
    const ada = await modernAgent(accessFor('ada'), (url) => {
      walked = connectAccount(page, atOther(url), 'ada')
      return walked
    })
    expect(whoIn(await ada.call('notes__whoami'))).toMatchObject({ subject: 'ada' })
    await walked
    expect(page.url().startsWith(fleet.b.origin)).toBe(true)
    await Promise.all([ada.close(), page.context().close()])
  }, 60_000)

  test('a client of 2025-11-25 is told by the daemon that holds its stream', async () => {
    const bob = await legacyAgent(accessFor('bob'))
    const refused = await bob.call('notes__whoami').catch((thrown: unknown) => thrown)
    const [{ url, elicitationId }] = bob.elicitations(refused)
    const page = await openBrowser(browser)
    await connectAccount(page, atOther(url), 'bob')
    await until('it was told', () => bob.completed.includes(elicitationId))
    await until('the list has changed', () => bob.changes > 0)
    expect(whoIn(await bob.call('notes__whoami'))).toMatchObject({ subject: 'bob' })
    await Promise.all([bob.close(), page.context().close()])
  }, 60_000)

  test('a grant that is ended at one daemon is not sent by the other; one of a user who goes is taken back once', async () => {
    const bob = await legacyAgent(accessFor('bob'), false)
    expect(await bob.call('notes__whoami')).not.toHaveProperty('isError')
    await fleet.b.call('DELETE', '/api/v1/grants/oauth:notes?for=user:bob')
    await until('the next call is led to the page', async () =>
      JSON.stringify(await bob.call('notes__whoami')).includes('/connect/'),
    )
    expect(await holders()).toEqual(['user:ada'])
    const before = provider.count('revoke')
    await fleet.b.call('DELETE', '/api/v1/users/ada')
    await until('it is gone', async () => (await holders()).length === 0)
    // Of both of its tokens, or of one that stands for both.
    await until('it is taken back', () => provider.count('revoke') > before)
    expect(provider.count('revoke') - before).toBeLessThanOrEqual(2)
    await bob.close()
  }, 60_000)
})
