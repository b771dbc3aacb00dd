import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  createMemoryStore,
  oauthGrant,
  setClock,
  staticGrant,
  type MemoryStore,
  type SetClock,
} from '../../test/fixtures/grant-memory.ts'
import { Fault } from '../lib/fault.ts'
import { silentLog } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { SecretValue } from '../lib/secret-value.ts'
import { keyOf, type Grant } from './grant.ts'
import type { Whose } from './holder.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import type { Renewal } from './renewal.ts'
import { createGrantSource, type GrantSource } from './source.ts'
import type { GrantProblem, Wanted } from './wanted.ts'

const ORIGIN = 'https://notes.example'
const PURPOSE = { server: 'notes', origin: ORIGIN }
const HOUR = 3_600_000

let clock: SetClock
let memory: MemoryStore
let keeper: Keeper
let source: GrantSource
let used: string[]
/** What the renewal that stands behind does, and how often it was asked for what. */
let renews: (grant: Grant) => Promise<Result<Grant, string>>
let asked: string[]
let isDue: boolean
let mayRenew: boolean
let obtains: (wanted: Wanted) => Promise<Result<Grant, GrantProblem>>

beforeEach(() => {
  clock = setClock()
  memory = createMemoryStore()
  keeper = createKeeper({ store: memory.open(), clock, log: silentLog, shared: false, changed() {} })
  used = []
  asked = []
  isDue = false
  mayRenew = true
  renews = (grant) =>
    keeper.update(grant, (stored) => stored && renewed(stored)).then((it) => ok(it as Grant))
  obtains = () => Promise.resolve(err({ message: 'no sign-in', connect: true }))
  const renewal: Renewal = {
    isDue: () => isDue,
    renew(grant) {
      asked.push('renew')
      return renews(grant)
    },
    renewQuietly: () => void asked.push('quietly'),
    renewDue: () => Promise.resolve(),
    mayRenew: () => mayRenew,
    async trouble(grant, trouble) {
      await keeper.update(grant, (stored) => stored && { ...stored, trouble: { ...trouble, atMs: 0 } })
      return trouble.message
    },
  }
  source = createGrantSource({
    keeper,
    renewal,
    clock,
    obtain: (wanted) => obtains(wanted),
    ahead: () => void asked.push('ahead'),
    used: (uid) => void used.push(uid),
  })
})
afterEach(() => keeper.close())

const renewed = (grant: Grant): Grant => ({
  ...grant,
  oauth: oauthGrant(clock.nowMs(), {}, { access: 'second' }).oauth,
})
const wanted = ({ profile, holder, name }: Grant, whose: Whose = 'shared'): Wanted => ({
  profile,
  holder,
  name,
  whose,
  key: keyOf({ profile, holder, name }),
})
const given = (more: Partial<Grant> = {}): Grant => memory.write(staticGrant(more))
const authorized = (more: Partial<Grant> = {}): Grant => memory.write(oauthGrant(clock.nowMs(), more))
const ready = async (grant: Grant, whose?: Whose, purpose = PURPOSE): Promise<string | GrantProblem> => {
  const found = await source.ready(wanted(grant, whose), purpose)
  return found.ok ? found.value.reveal() : found.error
}
const says = (text: string, connect = false): GrantProblem => ({
  message: expect.stringContaining(text) as string,
  connect,
})
const doesNotOpen = {
  open(): never {
    throw new Fault('unavailable', { hint: 'another key' })
  },
}

test('what is not in memory is not there at this moment; it is once it was asked for, and its use is noted', async () => {
  const grant = given()
  expect(source.current(wanted(grant), ORIGIN)).toBeUndefined()
  expect(await ready(grant)).toBe('given')
  expect(source.current(wanted(grant), ORIGIN)?.reveal()).toBe('given')
  expect(used).toEqual([grant.uid, grant.uid])
})

test('what is bound to another origin is not sent to this one, and is asked of nobody', async () => {
  const grant = authorized({ origins: ['https://elsewhere.example', 'https://*.notes.example'] })
  expect(await ready(grant)).toEqual(says('castellan grant bind oauth:notes'))
  expect(source.current(wanted(grant), ORIGIN)).toBeUndefined()
  expect(source.current(wanted(grant), 'https://a.notes.example')?.reveal()).toBe('first')
  expect(asked).toEqual([])
})

test('a server that is moved to another origin gets nothing any more', async () => {
  const grant = given()
  expect(await ready(grant)).toBe('given')
  expect(await ready(grant, 'shared', { ...PURPOSE, origin: 'https://moved.example' })).toEqual(
    says('is for another origin'),
  )
})

test('a token close to its end goes out, and is renewed meanwhile; one that is over waits for the next', async () => {
  const grant = authorized()
  await ready(grant)
  isDue = true
  expect(source.current(wanted(grant), ORIGIN)?.reveal()).toBe('first')
  expect(asked).toEqual(['quietly'])
  isDue = false
  clock.advance(HOUR - 2000)
  expect(source.current(wanted(grant), ORIGIN)).toBeUndefined()
  expect(await ready(grant)).toBe('second')
  expect(asked).toEqual(['quietly', 'renew'])
})

test('one that is over and cannot be renewed says why: to be given again, or tried again', async () => {
  const grant = authorized()
  await ready(grant)
  clock.advance(HOUR)
  renews = () => Promise.resolve(err('its token endpoint does not answer'))
  expect(await ready(grant)).toEqual(says('does not answer'))
  const login = authorized({
    trouble: { kind: 'login', message: 'authorize it again', atMs: 0 },
    name: 'oauth:b',
  })
  expect(await ready(login)).toEqual(says('authorize it again'))
  expect(asked).toEqual(['renew'])
})

// oxfmt-ignore
test.each([
  ['run out',                   { expiresAtMs: 0 },                        'has run out: castellan grant mcp notes --server notes'],
  ['of another master key',     { values: { token: doesNotOpen } },        'does not open with the present master key; give it again'],
])('one that was given and is %s', async (_, more, text) => {
  expect(await ready(given(more))).toEqual(says(text))
  expect(asked).toEqual([])
})

test('one that was begun and not finished; one whose token does not open', async () => {
  const { oauth } = authorized()
  if (oauth?.tokens === undefined) throw new Error('it has tokens')
  const waiting = authorized({ name: 'oauth:w', oauth: { ...oauth, tokens: undefined } })
  expect(await ready(waiting)).toEqual(
    says('has not been authorized: castellan grant oauth w --server notes'),
  )
  const broken = { ...oauth, tokens: { ...oauth.tokens, access: doesNotOpen } }
  expect(await ready(authorized({ name: 'oauth:x', oauth: broken }))).toEqual(says('authorize it again'))
})

test('nobody has given one: all are told the command, and people that they can connect their own', async () => {
  const nobody = staticGrant()
  expect(await ready(nobody)).toEqual(says('needs the grant mcp:notes, which nobody has given yet'))
  expect(await ready({ ...nobody, holder: 'user:usr_1' }, 'per-user')).toEqual(
    says('you have not connected an account for it yet: castellan grant connect notes', true),
  )
  expect(await ready({ ...nobody, holder: 'project:prj_1' }, 'per-project')).toMatchObject({ connect: false })
})

test('of a caller: what their sign-in is exchanged for, unless they have connected an account of their own', async () => {
  const own = { holder: 'user:usr_1' }
  const exchanged = oauthGrant(clock.nowMs(), { ...own, source: 'exchange' }, { access: 'exchanged' })
  const caller = staticGrant({ ...own, name: 'oauth:notes' })
  expect(await ready(caller, 'caller')).toEqual({ message: 'no sign-in', connect: true })
  obtains = () => {
    keeper.hold(exchanged)
    return Promise.resolve(ok(exchanged))
  }
  expect(await ready(caller, 'caller')).toBe('exchanged')
  keeper.drop(keyOf(caller))
  authorized(own)
  expect(await ready(caller, 'caller')).toBe('first')
})

const refused = (grant: Grant, more: { status?: number; challenge?: string; used?: string } = {}) =>
  source.refused(wanted(grant), {
    used: new SecretValue(more.used ?? 'first'),
    status: more.status ?? 401,
    challenge: more.challenge,
  })

test('a refusal of a token that is another by now: send it again; of this one: after it is renewed', async () => {
  const grant = authorized()
  await ready(grant)
  expect(await refused(grant, { used: 'older' })).toEqual(ok(undefined))
  expect(asked).toEqual([])
  expect(await refused(grant)).toEqual(ok(undefined))
  expect(asked).toEqual(['renew'])
})

test('a refusal that is not about the credential is passed on', async () => {
  const grant = authorized()
  await ready(grant)
  expect(await refused(grant, { status: 403, challenge: 'Bearer realm="notes"' })).toEqual(err(undefined))
  expect(await refused({ ...grant, name: 'oauth:none' })).toEqual(err(undefined))
})

test('what cannot be renewed needs somebody, and so does what is refused again and again', async () => {
  const grant = given()
  await ready(grant)
  const fixed = await refused(grant, { used: 'given' })
  expect(fixed).toEqual(err(says('again (the server refuses it)')))
  expect(await ready(grant)).toEqual(says('again (the server refuses it)'))
  mayRenew = false
  const again = authorized()
  await ready(again)
  expect(await refused(again)).toEqual(err(says('its token is no longer taken')))
  expect(asked).toEqual([])
})

test('more scopes need a person once; a server that wants what was asked for already is not helped by one', async () => {
  const grant = authorized()
  await ready(grant)
  const wants = (scope: string) =>
    refused(grant, { status: 403, challenge: `Bearer error="insufficient_scope", scope="${scope}"` })
  expect(await wants('notes:write')).toEqual(err(says('demands more scopes of the grant oauth:notes')))
  expect(await wants('notes:read')).toEqual(err(says('whoever runs the server can say why')))
})

test('of an exchange that is refused the next call gets another, and nobody is asked to log in', async () => {
  const grant = oauthGrant(clock.nowMs(), { holder: 'user:usr_1', source: 'exchange' })
  keeper.hold(grant)
  expect(await refused(grant)).toEqual(ok(undefined))
  expect(source.current(wanted(grant, 'caller'), ORIGIN)).toBeUndefined()
  obtains = () => {
    const next = oauthGrant(
      clock.nowMs(),
      { holder: 'user:usr_1', source: 'exchange' },
      { access: 'another' },
    )
    keeper.hold(next)
    return Promise.resolve(ok(next))
  }
  expect(await ready(grant, 'caller')).toBe('another')
})
