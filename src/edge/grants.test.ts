import { expect, test } from 'vitest'
import { SecretValue } from '../lib/secret-value.ts'
import { createCallerGrants } from './grants.ts'

const CONTROL = 'https://control.example.com'
const ADA = new SecretValue('cst_of_ada')

function grantsOf(known: boolean) {
  const doubted: string[] = []
  const callers = {
    secret: (grant: string) => (known && grant === 'caller:ada' ? ADA : undefined),
    doubt: (grant: string) => void doubted.push(grant),
  }
  return { doubted, grants: createCallerGrants(callers, `${CONTROL}/castellan`) }
}

test('the credential of a caller goes to the control plane, as long as they are known, and nowhere else', async () => {
  const { grants } = grantsOf(true)
  expect(grants.current('caller:ada', CONTROL)).toBe(ADA)
  for (const origin of [
    'https://docs.example.com',
    'http://control.example.com',
    'https://control.example.com:8443',
  ])
    expect([grants.current('caller:ada', origin), (await grants.ready('caller:ada', { origin })).ok]).toEqual(
      [undefined, false],
    )
  expect(grants.current('caller:bob', CONTROL)).toBeUndefined()
  expect(grants.current('oauth:notion', CONTROL)).toBeUndefined()
})

test('once they are not known any more nothing is sent at all', async () => {
  const { grants } = grantsOf(false)
  expect(grants.current('caller:ada', CONTROL)).toBeUndefined()
  expect(await grants.ready('caller:ada', { origin: CONTROL })).toMatchObject({
    ok: false,
    error: expect.stringContaining('try again'),
  })
})

test('a refusal of the credential is doubt about the caller; one of what they want is not', async () => {
  const { grants, doubted } = grantsOf(true)
  await grants.refused('caller:ada', { status: 403 })
  expect(doubted).toEqual([])
  await grants.refused('caller:ada', { status: 401 })
  expect(doubted).toEqual(['caller:ada'])
})
