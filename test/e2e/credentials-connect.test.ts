import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { findChromium, startChromium } from '../fixtures/chromium.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import * as h from './credentials-connect-harness.ts'
import { project, startGate, type Gate } from './gateway-harness.ts'

const found = findChromium()

describe.skipIf(found === undefined)(
  'accounts of their own',
  () => {
    let provider: ResourceProvider
    let gate: Gate
    let browser: Browser

    beforeAll(async () => {
      provider = await startResourceProvider()
      gate = await startGate([project('empty', [])])
      await h.furnish(gate.daemon, provider, [h.user('ada'), h.user('bob'), h.user('cy')])
      for (const name of ['ada', 'bob', 'cy']) await h.setPassword(gate.daemon, name)
      browser = await startChromium(found ?? '')
    })
    afterAll(async () => {
      await browser?.close()
      await gate?.end()
      await provider?.close()
    })

    test('smoke', async () => {
      const page = await h.openBrowser(browser)
      const agent = await h.modernAgent(await h.accessOf(gate.daemon, 'ada'), (url) =>
        h.connectAccount(page, url, 'ada'),
      )
      expect(await agent.tools()).toEqual(['notes__connect'])
      const said = await agent.call('notes__whoami')
      expect(JSON.stringify(said)).toContain('ada')
      await agent.close()
    })
  },
  60_000,
)
