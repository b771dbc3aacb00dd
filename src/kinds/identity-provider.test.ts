import { expect, test } from 'vitest'
import { IdentityProvider } from './identity-provider.ts'

const spec = (issuer: string) => IdentityProvider.spec.parse({ issuer, clientId: 'castellan' })

test.each([
  ['https://login.example.com', true],
  ['http://127.0.0.1:9000', true],
  ['http://login.example.com', false],
  ['https://user@login.example.com', false],
  ['https://login.example.com?tenant=a', false],
])('the issuer %s is taken: %s', (issuer, taken) => {
  expect(IdentityProvider.check?.(spec(issuer))).toHaveLength(taken ? 0 : 1)
})

test('users that are linked at one issuer are nobody at another', () => {
  const [one, other] = [spec('https://a.example.com'), spec('https://b.example.com')]
  expect(IdentityProvider.checkChange?.(one, other)).toHaveLength(1)
  expect(IdentityProvider.checkChange?.(one, Object.assign({}, one, { users: 'existing' }))).toEqual([])
})
