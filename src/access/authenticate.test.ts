import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { createAuthenticator, toFault, type TokenEntry } from './authenticate.ts'
import { mintToken } from './token.ts'

const ADMIN = `csa_${'A'.repeat(43)}`
const NOW = 1_000_000
const minted = mintToken()
const SECRET = minted.secret.reveal()
const ENTRY: TokenEntry = {
  kind: 'token',
  uid: 'tok_1',
  name: 'laptop',
  project: 'demo',
  revoked: false,
  owner: undefined,
}

const authenticatorWith = (entry: TokenEntry | undefined, nowMs = NOW) =>
  createAuthenticator({
    credentials: {
      byDigest: (digest) => (digest === minted.digest ? entry : undefined),
      owner: () => undefined,
    },
    admin: { digest: hash('sha256', ADMIN, 'buffer') },
    clock: { nowMs: () => nowMs, tickMs: () => 0 },
  })

test('a token becomes its principal, the admin credential the local admin', () => {
  const authenticator = authenticatorWith(ENTRY)
  const principal = {
    kind: 'token',
    key: 'token:tok_1',
    uid: 'tok_1',
    name: 'laptop',
    project: 'demo',
    owner: undefined,
    digest: minted.digest,
  }
  expect(authenticator.authenticate(`Bearer ${SECRET}`)).toEqual({ ok: true, value: principal })
  expect(authenticator.authenticate(`bearer  ${SECRET}`)).toEqual({ ok: true, value: principal })
  expect(authenticator.authenticate(`Bearer ${ADMIN}`)).toMatchObject({
    ok: true,
    value: { kind: 'local-admin' },
  })
})

test.each([
  [undefined, 'no-credential'],
  ['', 'no-credential'],
  ['Bearer', 'unset-variable'],
  ['Bearer ', 'unset-variable'],
  ['Bearer ${GW_TOKEN}', 'unset-variable'],
  ['Bearer ${env:GW_TOKEN}', 'unset-variable'],
  ['Bearer $GW_TOKEN', 'unset-variable'],
  ['${GW_TOKEN}', 'unset-variable'],
  ['Basic dXNlcjpwYXNz', 'malformed'],
  [SECRET, 'malformed'],
  [`Bearer ${SECRET}x`, 'malformed'],
  [`Bearer ${SECRET} `, 'malformed'],
  [`Bearer ${SECRET}, Bearer ${SECRET}`, 'malformed'],
  [`Bearer ${ADMIN.replace('csa_', 'cst_')}`, 'unknown'],
  [`Bearer ${ADMIN.replace('csa_A', 'csa_B')}`, 'unknown'],
  [`Bearer ${ADMIN.replace('csa_', 'csb_')}`, 'malformed'],
])('%s is refused as %s', (header, reason) => {
  expect(authenticatorWith(ENTRY).authenticate(header)).toEqual({ ok: false, error: { reason } })
})

test('expiry and revocation act at once', () => {
  const expiring = { ...ENTRY, expiresAtMs: NOW }
  expect(authenticatorWith(expiring, NOW - 1).authenticate(`Bearer ${SECRET}`).ok).toBe(true)
  const at = (entry: TokenEntry) => authenticatorWith(entry).authenticate(`Bearer ${SECRET}`)
  expect(at(expiring)).toEqual({ ok: false, error: { reason: 'expired' } })
  expect(at({ ...ENTRY, revoked: true })).toEqual({ ok: false, error: { reason: 'revoked' } })
})

test('the public answer is the same whatever was wrong', () => {
  const [a, b] = (['revoked', 'unknown'] as const).map((reason) => toFault({ reason }))
  expect([a?.code, a?.message, a?.hint]).toEqual([b?.code, b?.message, b?.hint])
  expect(a?.hint).not.toContain('revoked')
})
