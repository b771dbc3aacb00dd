import { expect, test } from 'vitest'
import { SecretValue } from '../lib/secret-value.ts'
import type { Grant } from './grant.ts'
import { justIssued } from './held-secret.ts'
import { loginLife, loginRefresh, renewLogin } from './login-renewal.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const clock = { nowMs: () => NOW, tickMs: () => 0 }

const grant = (name: string, values: Record<string, string>, more: Partial<Grant> = {}): Grant => ({
  uid: 'grt_x',
  profile: 'default',
  holder: '',
  name,
  server: undefined,
  origins: ['https://api.anthropic.com'],
  source: 'file',
  values: Object.fromEntries(
    Object.entries(values).map(([field, value]) => [field, justIssued(new SecretValue(value))]),
  ),
  settings: {},
  expiresAtMs: undefined,
  oauth: undefined,
  trouble: undefined,
  refreshed: undefined,
  givenAtMs: NOW - 60_000,
  renewing: undefined,
  version: 1,
  ...more,
})

interface Asked {
  readonly url: string
  readonly body: string | undefined
}

function provider(status: number, answer: unknown) {
  const asked: Asked[] = []
  return {
    asked,
    sender: {
      send(url: string, { body }: { readonly body?: string | undefined }) {
        asked.push({ url, body })
        return Promise.resolve({ status, text: () => Promise.resolve(JSON.stringify(answer)) })
      },
    },
  }
}

// oxfmt-ignore
test.each([
  ['claude',        { token: 'a', refreshToken: 'b' }, true],
  ['claude',        { token: 'a' },                    false],
  ['anthropic',     { key: 'a' },                      false],
  ['mcp:notes',     { token: 'a' },                    false],
  ['oauth:notes',   {},                                false],
])('%s with %o can be renewed: %s', (name, values, expected) => {
  expect(loginRefresh(grant(name, values as Record<string, string>)) !== undefined).toBe(expected)
})

test('a login that is renewed has both new tokens, and knows until when', async () => {
  const one = grant('claude', { token: 'old-access', refreshToken: 'old-refresh' })
  const refresh = loginRefresh(one)
  if (refresh === undefined) throw new Error('claude is renewed')
  const { sender, asked } = provider(200, {
    access_token: 'new-access',
    refresh_token: 'new-refresh',
    expires_in: 3600,
  })
  const done = await renewLogin(one, refresh, { sender, clock })
  if (!done.ok) throw new Error(done.error.message)
  expect(asked).toHaveLength(1)
  expect(asked[0]?.url).toBe(refresh.tokenEndpoint)
  expect(asked[0]?.body).toContain('old-refresh')
  const opened = Object.entries(done.value.values).map(([field, held]) => [field, held.open().reveal()])
  expect(Object.fromEntries(opened)).toEqual({ token: 'new-access', refreshToken: 'new-refresh' })
  expect(done.value).toMatchObject({ expiresAtMs: NOW + 3_600_000, renewedAtMs: NOW })
  expect(loginLife({ ...one, ...done.value }, refresh)).toEqual({ fromMs: NOW, toMs: NOW + 3_600_000 })
})

// oxfmt-ignore
test.each([
  [400, { error: 'invalid_grant' }, true],
  [500, { error: 'server_error' },  false],
  [200, '<html>',                   false],
  [429, {},                         false],
])('an answer %i %o is final: %s, and its text is not repeated', async (status, answer, final) => {
  const one = grant('claude', { token: 'a', refreshToken: 'b' })
  const refresh = loginRefresh(one)
  if (refresh === undefined) throw new Error('claude is renewed')
  const done = await renewLogin(one, refresh, { sender: provider(status, answer).sender, clock })
  expect(done).toMatchObject({ ok: false, error: { final } })
})

test('an address that cannot be asked is a failure that passes', async () => {
  const one = grant('claude', { token: 'a', refreshToken: 'b' })
  const refresh = loginRefresh(one)
  if (refresh === undefined) throw new Error('claude is renewed')
  const sender = { send: () => Promise.reject(new Error('away')) }
  expect(await renewLogin(one, refresh, { sender, clock })).toMatchObject({
    ok: false,
    error: { final: false },
  })
})
