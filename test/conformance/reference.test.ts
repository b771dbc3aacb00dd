import { expect, test } from 'vitest'
import { startReferenceServer } from '../fixtures/reference-server.ts'
import { runServerSuite } from './suite.ts'

// The control: what fails through the gateway and passes here is the gateway's fault.
test.each(['2025-11-25', '2026-07-28'] as const)(
  'the reference server meets %s by itself',
  async (requirements) => {
    const server = await startReferenceServer()
    try {
      const { code, summary } = await runServerSuite(server.url, requirements)
      expect(code, summary).toBe(0)
    } finally {
      await server.close()
    }
  },
  300_000,
)
