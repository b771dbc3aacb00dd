import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInAtProvider, startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'
import {
  ask,
  bringBack,
  codeIn,
  connectProvider,
  finishSignIn,
  login,
  startSignIn,
} from './sign-in-harness.ts'

let fleet: Fleet
let provider: OidcProvider

beforeAll(async () => {
  provider = await startOidcProvider({
    accounts: { 'sub-ada': { email: 'ada@example.com', email_verified: true } },
  })
  fleet = await startFleet()
})

afterAll(async () => {
  await fleet.end()
  await provider.close()
})

/** Until what one daemon has written is known to the other. */
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 100; i++) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('it did not come to be within two seconds')
}

const whoIs = (origin: string, credential: string) =>
  ask(origin, ['GET', '/api/v1/auth/me'], undefined, credential)

test('a sign-in begins at one daemon, comes back to the other, and is finished at the first', async () => {
  const { a, b } = fleet
  await connectProvider(a, provider)
  await eventually(async () => {
    const { body } = await ask(b.origin, ['GET', '/api/v1/auth/providers'])
    return (body['providers'] as unknown[]).length > 0 ? true : undefined
  })
  const started = await startSignIn(a.origin, 'corp')
  const back = await signInAtProvider(started.url, 'sub-ada')
  const atB = new URL(`${back.pathname}${back.search}`, b.origin)
  const code = codeIn((await bringBack(atB)).text)
  // The same answer brought to the other daemon as well finds the provider's code used up.
  expect(await bringBack(back)).toMatchObject({ status: 400 })
  const done = await finishSignIn(a.origin, started, code)
  expect(done).toMatchObject({ status: 200, body: { user: 'ada@example.com' } })
  const credential = String(done.body['credential'])
  expect(await whoIs(a.origin, credential)).toMatchObject({ status: 200 })
  await eventually(async () => ((await whoIs(b.origin, credential)).status === 200 ? true : undefined))
  expect(await finishSignIn(b.origin, started, code)).toMatchObject({ status: 401 })
})

test('a password that is set at one daemon is good at the other, and ends sign-ins there', async () => {
  const { a, b } = fleet
  const [old, next] = ['correct horse battery staple', 'another horse battery staple']
  await a.apply([{ kind: 'User', metadata: { name: 'ada' }, spec: {} }])
  await a.call('POST', '/api/v1/users/ada/password', { password: old })
  const atB = await eventually(async () => {
    const reply = await login(b.origin, 'ada', old)
    return reply.status === 200 ? String(reply.body['credential']) : undefined
  })
  // A knows nothing of the sign-in at B yet, perhaps: it ends all that are in the database.
  await a.call('POST', '/api/v1/users/ada/password', { password: next })
  await eventually(async () => ((await whoIs(b.origin, atB)).status === 401 ? true : undefined))
  expect(await login(b.origin, 'ada', old)).toMatchObject({ status: 401 })
  expect(await login(b.origin, 'ada', next)).toMatchObject({ status: 200 })
})
