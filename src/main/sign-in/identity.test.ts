import { describe, expect, test } from 'vitest'
import { IdentityProvider, type IdentityProviderSpec } from '../../kinds/identity-provider.ts'
import { readIdentity, wantedClaims } from './identity.ts'

const spec = (more: Partial<IdentityProviderSpec> = {}): IdentityProviderSpec =>
  IdentityProvider.spec.parse(Object.assign({ issuer: 'https://login.example.com', clientId: 'x' }, more))

const claims = (more: Readonly<Record<string, unknown>> = {}) =>
  Object.assign({ sub: 's1', email: 'Ada@Example.com', email_verified: true }, more)

describe('who somebody is', () => {
  test('is called by the mail address, in lower case', () => {
    expect(readIdentity('corp', spec(), claims({ name: 'Ada', groups: ['a', 'b', 'a'] }))).toEqual({
      ok: true,
      value: {
        provider: 'corp',
        subject: 's1',
        username: 'ada@example.com',
        displayName: 'Ada',
        email: 'ada@example.com',
        groups: ['a', 'b'],
      },
    })
  })

  test.each([
    ['an address that is not verified', claims({ email_verified: false })],
    ['no word on whether it is', claims({ email_verified: undefined })],
    ['no address', claims({ email: undefined })],
    ['an address that is no text', claims({ email: ['ada@example.com'] })],
    ['an address that is no name', claims({ email: '"ada lovelace"@example.com' })],
    ['an address with a control character', claims({ email: 'ada\u0000@example.com' })],
    ['an address that would be a uid', claims({ email: 'usr_01jd0000000000000000000000' })],
    ['an address longer than a name', claims({ email: `${'a'.repeat(250)}@example.com` })],
    ['a subject that is too long', claims({ sub: 's'.repeat(256) })],
  ])('cannot be said by %s', (_what, given) => {
    expect(readIdentity('corp', spec(), given)).toMatchObject({ ok: false })
  })

  test('is called by another claim where an administrator says so; then no address is needed', () => {
    const by = spec({ usernameClaim: 'preferred_username' })
    const found = readIdentity('corp', by, { sub: 's1', preferred_username: 'Ada.L' })
    expect(found).toMatchObject({ ok: true, value: { username: 'ada.l', email: undefined } })
    expect(readIdentity('corp', by, { sub: 's1' })).toMatchObject({ ok: false })
    expect(wantedClaims(by)).toEqual(['preferred_username', 'groups'])
  })

  test('is in a domain that is wanted: all of it, and of the verified address', () => {
    const by = spec({ domains: ['example.com'], usernameClaim: 'preferred_username' })
    const of = (email: string, email_verified: unknown = true) =>
      readIdentity('corp', by, { sub: 's', preferred_username: 'ada', email, email_verified }).ok
    expect(of('ada@example.com')).toBe(true)
    expect(of('ada@EXAMPLE.com', 'true')).toBe(true)
    expect(of('ada@example.com', false)).toBe(false)
    expect(of('ada@evil-example.com')).toBe(false)
    expect(of('ada@sub.example.com')).toBe(false)
    expect(of('ada@example.com@evil.com')).toBe(false)
    expect(wantedClaims(by)).toEqual(['preferred_username', 'groups', 'email', 'email_verified'])
  })

  test('belongs to a bounded number of groups, each of them text', () => {
    const groups = (value: unknown) => {
      const found = readIdentity('corp', spec(), claims({ groups: value }))
      return found.ok ? found.value.groups : undefined
    }
    expect(groups('one')).toEqual(['one'])
    expect(groups(['ok', 7, null, { a: 1 }, '', 'x'.repeat(256), 'a\nb'])).toEqual(['ok'])
    expect(groups(Array.from({ length: 10_000 }, (_, i) => `g${i}`))).toHaveLength(500)
    expect(groups(undefined)).toEqual([])
  })
})
