import { expect, test } from 'vitest'
import { SecretValue } from '../lib/secret-value.ts'
import { createCallerGrants } from './grants.ts'

const CONTROL = 'https://control.example.com'
const ADA = new SecretValue('cst_of_ada')
const ADAS = { name: 'caller:ada' }

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
  expect(grants.current(ADAS, CONTROL)).toBe(ADA)
  for (const origin of [
    'https://docs.example.com',
    'http://control.example.com',
    'https://control.example.com:8443',
  ])
    expect([grants.current(ADAS, origin), (await grants.ready(ADAS, { origin })).ok]).toEqual([
      undefined,
      false,
    ])
  expect(grants.current({ name: 'caller:bob' }, CONTROL)).toBeUndefined()
  expect(grants.current({ name: 'oauth:notion' }, CONTROL)).toBeUndefined()
})

test('once they are not known any more nothing is sent at all', async () => {
  const { grants } = grantsOf(false)
  expect(grants.current(ADAS, CONTROL)).toBeUndefined()
  expect(await grants.ready(ADAS, { origin: CONTROL })).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining('try again'), connect: false },
  })
})

test('a refusal of the credential is doubt about the caller; one of what they want is not', async () => {
  const { grants, doubted } = grantsOf(true)
  await grants.refused(ADAS, { status: 403 })
  expect(doubted).toEqual([])
  await grants.refused(ADAS, { status: 401 })
  expect(doubted).toEqual(['caller:ada'])
})
