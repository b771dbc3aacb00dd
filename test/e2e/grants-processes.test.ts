import { afterAll, beforeAll, expect, test } from 'vitest'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createGrantStore } from '../../src/main/grant-store.ts'
import { createOAuthGrants, type OAuthGrants } from '../../src/grants/oauth-flow.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'

// Two keepers on one database, as two daemons would have it; the authorization server takes each refresh token once.

let home: string
let store: Store
let authorization: AuthorizationServer
let two: readonly OAuthGrants[]
const NAME = 'oauth:shared'
const purpose = (): { server: string; origin: string } => ({ server: 'notes', origin: authorization.issuer })

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-grants-'))
  authorization = await startAuthorizationServer({ behind: 'http://127.0.0.1:1/' })
  store = await openStore({ home }, silentLog)
  const sealer = createSealer((await loadMasterKey({ home, usedWith: [] })).master)
  const open = (): Promise<OAuthGrants> =>
    createOAuthGrants({
      clock,
      log: silentLog,
      store: createGrantStore(store.control, sealer, clock),
      publicOrigin: () => 'http://127.0.0.1:7411',
      changed() {},
    })
  two = [await open(), await open()]
})
afterAll(async () => {
  await Promise.all((two ?? []).map((one) => one.close()))
  await store?.close()
  await authorization?.close()
  await rm(home, { recursive: true })
})

async function authorize(by: OAuthGrants): Promise<void> {
  const { authorizeUrl } = await by.start({
    name: NAME,
    server: { name: 'notes', url: authorization.url },
    client: undefined,
    document: undefined,
    scopes: undefined,
  })
  const answer = await fetch(authorizeUrl, { redirect: 'manual' })
  const back = new URL(answer.headers.get('location') ?? '')
  expect(await by.finish(NAME, back.searchParams)).toEqual({ ok: true, value: undefined })
}

test('what one has, the other has; each refusal costs one refresh, whoever meets it', async () => {
  const [one, other] = two
  if (one === undefined || other === undefined) throw new Error('two')
  await authorize(one)
  expect(await other.ready(NAME, purpose())).toMatchObject({ ok: true })
  for (let round = 1; round <= 5; round++) {
    const used = two.map((keeper) => keeper.current(NAME, authorization.issuer))
    authorization.expire()
    const answers = await Promise.all(
      two.flatMap((keeper, i) =>
        Array.from({ length: 5 }, () =>
          keeper.refused(NAME, { used: used[i], status: 401, challenge: 'Bearer' }),
        ),
      ),
    )
    expect(answers).toEqual(answers.map(() => ({ ok: true, value: undefined })))
    expect(authorization.count('refresh')).toBe(round)
  }
})

test('a renewal and an authorization at the same time lose neither', async () => {
  const [one, other] = two
  if (one === undefined || other === undefined) throw new Error('two')
  await authorize(one)
  await Promise.all([
    authorize(other),
    one.refused(NAME, {
      used: one.current(NAME, authorization.issuer),
      status: 401,
      challenge: 'Bearer error="insufficient_scope", scope="notes:more"',
    }),
  ])
  for (const keeper of two) expect(await keeper.ready(NAME, purpose())).toMatchObject({ ok: true })
})

test('a secret that was changed does not open, and the grant is to be given again', async () => {
  const [one] = two
  await store.control.updateTable('grant_secrets').set({ ciphertext: 'AAAA' }).execute()
  await store.control.updateTable('grants').set({ version: 1000 }).execute()
  expect(await one?.ready(NAME, { ...purpose(), origin: 'http://elsewhere' })).toMatchObject({ ok: false })
  const problem = expect.stringContaining('castellan grant oauth shared --server notes') as string
  expect(one?.list()).toMatchObject([{ name: NAME, state: 'needs-login', problem }])
})
