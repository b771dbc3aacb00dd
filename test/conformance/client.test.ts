import { afterAll, beforeAll, expect, test } from 'vitest'
import { openClientRole, type ClientRole } from './client.ts'

let role: ClientRole
beforeAll(async () => {
  role = await openClientRole()
})
afterAll(async () => {
  await role?.close()
})

test.for(['2025-11-25', '2026-07-28'] as const)(
  'the gateway meets what %s requires of a client, authorization included',
  { timeout: 300_000 },
  async (requirements) => {
    const expected = new URL(`expected-failures-client-role-${requirements}.yml`, import.meta.url).pathname
    const { code, summary } = await role.run(requirements, expected)
    expect(code, summary).toBe(0)
  },
)
