import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createGrantStore } from '../../src/main/grant-store.ts'
import { createGrants, type Grants } from '../../src/grants/grants.ts'
import type { OAuthFlags } from '../../src/oauth/client/settings.ts'
import type { Wanted } from '../../src/grants/wanted.ts'
import { createGrantAttemptStore } from '../../src/main/grant-attempt-store.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from './gateway-harness.ts'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import { NO_SIGN_INS } from '../fixtures/no-sign-ins.ts'

// Two keepers on one database, as two daemons would have it; the authorization server takes each refresh token once.

let home: string
let store: Store
let authorization: AuthorizationServer
let two: readonly Grants[]
let open: (self: string) => Grants
const KEY = { name: 'oauth:shared', profile: 'default', holder: '' }
const WANTED: Wanted = { ...KEY, key: 'default//oauth:shared', whose: 'shared' }
const purpose = (): { server: string; origin: string } => ({ server: 'notes', origin: authorization.issuer })

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-grants-'))
  authorization = await startAuthorizationServer({ behind: 'http://127.0.0.1:1/' })
  store = await openStore({ home }, silentLog)
  const sealer = createSealer((await loadMasterKey({ home, usedWith: [] })).master)
  open = (self) =>
    createGrants({
      clock,
      log: silentLog,
      store: createGrantStore({ store, sealer, clock }),
      attempts: createGrantAttemptStore(store.state, sealer, clock),
      self,
      shared: true,
      goneOf: () => Promise.resolve([]),
      publicOrigin: () => 'http://127.0.0.1:7411',
      changed() {},
      fileOf: () => Promise.resolve(undefined),
      signIns: NO_SIGN_INS,
      recorded: (_what, work) => work(),
      uses: { note() {}, all: () => Promise.resolve(new Map()) },
    })
  two = [open('one'), open('other')]
})
afterAll(async () => {
  await Promise.all((two ?? []).map((one) => one.close()))
  await store?.close()
  await authorization?.close()
  await rm(home, { recursive: true })
})

async function authorize(by: Grants): Promise<void> {
  const { authorizeUrl } = await by.start({
    key: KEY,
    server: 'notes',
    url: authorization.url,
    startedBy: 'local-admin',
    flags: {},
  })
  const answer = await fetch(authorizeUrl ?? '', { redirect: 'manual' })
  const back = new URL(answer.headers.get('location') ?? '')
  expect(await by.finish('shared', back.searchParams)).toEqual({ ok: true, value: KEY })
}

test('what one has, the other has; each refusal costs one refresh, whoever meets it', async () => {
  const [one, other] = two
  if (one === undefined || other === undefined) throw new Error('two')
  await authorize(one)
  expect(await other.ready(WANTED, purpose())).toMatchObject({ ok: true })
  for (let round = 1; round <= 5; round++) {
    const used = two.map((keeper) => keeper.current(WANTED, authorization.issuer))
    authorization.expire()
    const answers = await Promise.all(
      two.flatMap((keeper, i) =>
        Array.from({ length: 5 }, () =>
          keeper.refused(WANTED, { used: used[i], status: 401, challenge: 'Bearer' }),
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
    one.refused(WANTED, {
      used: one.current(WANTED, authorization.issuer),
      status: 401,
      challenge: 'Bearer error="insufficient_scope", scope="notes:more"',
    }),
  ])
  for (const keeper of two) expect(await keeper.ready(WANTED, purpose())).toMatchObject({ ok: true })
})

test('everybody is one client there: the one that an operator gave, else one that was registered once', async () => {
  const [one] = two
  if (one === undefined) throw new Error('one')
  const begin = async (name: string, holder: string, flags: OAuthFlags = {}): Promise<string | null> => {
    const key = { name: `oauth:${name}`, profile: 'default', holder }
    const request = { key, server: 'notes', url: authorization.url, flags, startedBy: 'local-admin' }
    const { authorizeUrl = '' } = await one.start(request)
    return new URL(authorizeUrl).searchParams.get('client_id')
  }
  const before = authorization.count('register')
  const ada = await begin('mine', 'user:usr_ada')
  expect(await begin('mine', 'user:usr_ben')).toBe(ada)
  expect(await begin('mine', '')).toBe(ada)
  expect(authorization.count('register')).toBe(before + 1)
  // The address that the browser comes back to is another one.
  expect(await begin('yours', 'user:usr_ada')).not.toBe(ada)
  expect(await begin('given', '', { clientId: 'known-there' })).toBe('known-there')
  expect(await begin('given', 'user:usr_ada')).toBe('known-there')
  expect(authorization.count('register')).toBe(before + 2)
  const names = (await one.list()).map(({ name }) => name)
  expect(names.filter((name) => !name.startsWith('oauth:'))).toEqual([])
})

test('what was renewed is written down once the database takes it again, and not given up before', async () => {
  const [one] = two
  if (one === undefined) throw new Error('one')
  await authorize(one)
  // The claim is taken; what comes of it is not, for a while.
  await sql`create trigger away before update on grants when new.state not like '%"renewing"%'
    begin select raise(abort, 'away'); end`.execute(store.control)
  const before = authorization.count('refresh')
  const renewed = one.refresh(KEY)
  await until('the refresh', () => authorization.count('refresh') > before)
  await sleep(1200)
  await sql`drop trigger away`.execute(store.control)
  expect(await renewed).toMatchObject({ state: 'ready' })
  expect(authorization.count('refresh')).toBe(before + 1)
  expect(await open('fourth').ready(WANTED, purpose())).toEqual(await one.ready(WANTED, purpose()))
})

test('a secret that was changed does not open, and the grant is to be given again', async () => {
  const other = open('third')
  two = [...two, other]
  await store.control.updateTable('grant_secrets').set({ ciphertext: 'AAAA' }).execute()
  await store.control.updateTable('grants').set({ version: 1000 }).execute()
  const problem = expect.stringContaining('castellan grant oauth shared --server notes') as string
  expect(await other?.ready(WANTED, purpose())).toMatchObject({ ok: false, error: { message: problem } })
})
