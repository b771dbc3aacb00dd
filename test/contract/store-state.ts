import { expect, test } from 'vitest'
import { dropLeases, keepLeases, listLeases, takeLease } from '../../src/store/leases.ts'
import { listPeers, putPeer, removePeer } from '../../src/store/peers.ts'
import {
  countSessions,
  findSession,
  insertSession,
  listExpired,
  missingSessions,
  removeSession,
  touchSessions,
  updateSession,
} from '../../src/store/sessions.ts'
import { forgetAttempts, insertAttempt, tryAttempt, useAttempt } from '../../src/store/sign-in-attempts.ts'
import type { Store } from '../../src/store/store.ts'
import type { LeaseRow, SessionRow, SignInAttemptRow, UpstreamSessionRow } from '../../src/store/tables.ts'
import { listUses, recordUses } from '../../src/store/token-use.ts'
import {
  claimUpstreamSessions,
  insertUpstreamSessions,
  listUpstreamSessionNodes,
  removeUpstreamSessions,
} from '../../src/store/upstream-sessions.ts'

const session = (row: Partial<SessionRow> & { readonly id: string }): SessionRow => ({
  principal: 'token:tok_1',
  project: 'demo',
  server: '',
  protocol_version: '2025-11-25',
  client: '{"clientInfo":{"name":"test"}}',
  log_level: null,
  subscriptions: '[]',
  created_at_ms: 1_700_000_000_000,
  seen_at_ms: 1_700_000_000_000,
  ...row,
})

const upstreamSession = (uid: string, node: string): UpstreamSessionRow => ({
  uid,
  node,
  server: 'notes',
  server_uid: 'srv_1',
  url: 'http://127.0.0.1:1/mcp',
  protocol_version: '2025-06-18',
  key_id: 'k',
  wrapped_key: 'w',
  nonce: 'n',
  ciphertext: 'c',
  opened_at_ms: 1_700_000_000_000,
})

const attempt = (id: string, expires_at_ms: number): SignInAttemptRow => ({
  id,
  code_digest: 'd',
  state: 'ready',
  tries: 0,
  expires_at_ms,
  key_id: 'k',
  wrapped_key: 'w',
  nonce: 'n',
  ciphertext: 'c',
})

/** What every store does with state, as part of `storeContract`. */
export function storeStateContract(current: () => Store): void {
  test('a sign-in attempt is made once, counts its tries, is used once, and is forgotten in its time', async () => {
    const { state } = current()
    expect(await insertAttempt(state, attempt('one', 1000))).toBe(true)
    expect(await insertAttempt(state, attempt('one', 9000))).toBe(false)
    expect(await tryAttempt(state, 'other')).toBeUndefined()
    expect(await tryAttempt(state, 'one')).toMatchObject({ tries: 1, expires_at_ms: 1000, ciphertext: 'c' })
    const used = await Promise.all([useAttempt(state, 'one'), useAttempt(state, 'one')])
    expect(new Set(used)).toEqual(new Set([false, true]))
    expect(await tryAttempt(state, 'one')).toMatchObject({ tries: 2, state: 'used', ciphertext: '' })
    await forgetAttempts(state, 1000)
    expect(await tryAttempt(state, 'one')).toBeDefined()
    await forgetAttempts(state, 1001)
    expect(await tryAttempt(state, 'one')).toBeUndefined()
  })

  test('a session is found as it was inserted, and no id is there twice', async () => {
    const { state } = current()
    const row = session({ id: 's1', log_level: 'debug', server: 'everything' })
    await insertSession(state, row)
    expect(await findSession(state, 's1')).toEqual(row)
    expect(await findSession(state, 's2')).toBeUndefined()
    await expect(insertSession(state, row)).rejects.toMatchObject({ code: 'conflict' })
  })

  test('an update changes what it names and nothing else', async () => {
    const { state } = current()
    await insertSession(state, session({ id: 's1', log_level: 'debug' }))
    expect(await updateSession(state, 's1', { subscriptions: '[["a","b"]]' })).toBe(true)
    expect(await updateSession(state, 's1', { log_level: null, client: '{"x":1}' })).toBe(true)
    expect(await findSession(state, 's1')).toEqual(
      session({ id: 's1', subscriptions: '[["a","b"]]', client: '{"x":1}' }),
    )
    expect(await updateSession(state, 's1', {})).toBe(true)
    expect(await updateSession(state, 's2', {})).toBe(false)
    expect(await updateSession(state, 's2', { client: '{}' })).toBe(false)
  })

  test('a lease goes to one of those that try, stays with who keeps it, and is free when it is dropped', async () => {
    const { state } = current()
    const tries = (seen: LeaseRow | undefined, by: string): Promise<boolean[]> =>
      Promise.all([1, 2, 3].map((n) => takeLease(state, 'sweep', `${by}-${n}`, seen)))
    expect((await tries(undefined, 'first')).filter(Boolean)).toHaveLength(1)
    const [seen] = await listLeases(state)
    expect(seen).toMatchObject({ name: 'sweep', beat: 0 })
    expect(await keepLeases(state, String(seen?.holder))).toEqual(['sweep'])
    // It has moved since it was looked at.
    expect(await tries(seen, 'second')).toEqual([false, false, false])
    const [moved] = await listLeases(state)
    expect(moved).toEqual({ ...seen, beat: 1 })
    expect((await tries(moved, 'third')).filter(Boolean)).toHaveLength(1)
    expect(await keepLeases(state, String(seen?.holder))).toEqual([])
    const [third] = await listLeases(state)
    await dropLeases(state, String(seen?.holder))
    expect(await listLeases(state)).toEqual([third])
    await dropLeases(state, String(third?.holder))
    expect(await listLeases(state)).toEqual([])
  })

  test('touching moves times forward only, of those that are there', async () => {
    const { state } = current()
    for (const id of ['s1', 's2', 's3']) await insertSession(state, session({ id, seen_at_ms: 100 }))
    const noise = Array.from({ length: 1500 }, (_, i) => [`ghost-${i}`, 200] as const)
    await touchSessions(state, [['s1', 150], ['s2', 50], ...noise, ['s1', 170], ['s1', 160]])
    await touchSessions(state, [])
    const seen = await Promise.all(['s1', 's2', 's3'].map((id) => findSession(state, id)))
    expect(seen.map((row) => row?.seen_at_ms)).toEqual([170, 100, 100])
    expect(await findSession(state, 'ghost-1')).toBeUndefined()
  })

  test('the longest silent come first, within the limit', async () => {
    const { state } = current()
    for (const [id, seen_at_ms] of [
      ['a', 30],
      ['b', 10],
      ['c', 20],
      ['d', 40],
    ] as const) {
      await insertSession(state, session({ id, seen_at_ms }))
    }
    expect((await listExpired(state, 40, 2)).map(({ id }) => id)).toEqual(['b', 'c'])
    expect((await listExpired(state, 40, 9)).map(({ id }) => id)).toEqual(['b', 'c', 'a'])
  })

  test('expired sessions are found by project, or for all but some', async () => {
    const { state } = current()
    for (const [id, project] of [
      ['a', 'one'],
      ['b', 'two'],
      ['c', 'three'],
    ] as const) {
      await insertSession(state, session({ id, project, seen_at_ms: 10 }))
    }
    const found = async (which: 'only' | 'except', names: readonly string[]) =>
      (await listExpired(state, 40, 9, { which, names })).map(({ id }) => id)
    expect(await found('only', ['one', 'three'])).toEqual(['a', 'c'])
    expect(await found('except', ['one', 'three'])).toEqual(['b'])
    expect(await found('except', [])).toEqual(['a', 'b', 'c'])
  })

  test('sessions are counted by project, and gone when removed', async () => {
    const { state } = current()
    for (const id of ['a', 'b']) await insertSession(state, session({ id }))
    await insertSession(state, session({ id: 'c', project: 'other' }))
    expect(await countSessions(state, 'demo')).toBe(2)
    expect(await removeSession(state, 'a')).toBe(true)
    expect(await removeSession(state, 'a')).toBe(false)
    expect(await countSessions(state, 'demo')).toBe(1)
    expect(await countSessions(state, 'none')).toBe(0)
    const many = Array.from({ length: 2500 }, (_, i) => `none-${i}`)
    expect(await missingSessions(state, ['b', ...many, 'c', 'a'])).toEqual([...many, 'a'])
    expect(await missingSessions(state, [])).toEqual([])
  })

  test('of many uses of a token the newest stays, in whatever order they come', async () => {
    const { state } = current()
    const many = Array.from({ length: 2500 }, (_, i) => ({ uid: `tok_${i}`, used_at_ms: 1000 + i }))
    await recordUses(state, many)
    await recordUses(state, [
      { uid: 'tok_0', used_at_ms: 9000 },
      { uid: 'tok_0', used_at_ms: 8000 },
      { uid: 'tok_1', used_at_ms: 1 },
    ])
    await recordUses(state, [])
    const uses = new Map((await listUses(state)).map(({ uid, used_at_ms }) => [uid, used_at_ms]))
    expect(uses.size).toBe(2500)
    expect([uses.get('tok_0'), uses.get('tok_1'), uses.get('tok_2499')]).toEqual([9000, 1001, 3499])
  })

  test('a process is published once, lives by its beat, and is removed as it was seen or not at all', async () => {
    const { state } = current()
    await putPeer(state, { node: 'b', url: 'http://b' })
    await putPeer(state, { node: 'a', url: 'http://a' })
    await putPeer(state, { node: 'a', url: 'http://a2', host: 'host-a' })
    expect(await listPeers(state)).toEqual([
      { node: 'a', url: 'http://a2', host: 'host-a', beat: 1 },
      { node: 'b', url: 'http://b', host: '', beat: 0 },
    ])
    await removePeer(state, 'a', 0)
    await removePeer(state, 'b')
    await removePeer(state, 'c')
    expect((await listPeers(state)).map(({ node }) => node)).toEqual(['a'])
    await removePeer(state, 'a', 1)
    expect(await listPeers(state)).toEqual([])
  })

  test('sessions at servers are noted in batches, once each, and forgotten by the process that has them', async () => {
    const { state } = current()
    const many = Array.from({ length: 1200 }, (_, i) => upstreamSession(`s${i}`, 'a'))
    await insertUpstreamSessions(state, many)
    await insertUpstreamSessions(state, [...many.slice(0, 2), upstreamSession('other', 'b')])
    await insertUpstreamSessions(state, [])
    expect(await listUpstreamSessionNodes(state, 'c')).toEqual(['a', 'b'])
    const uids = many.map(({ uid }) => uid)
    await removeUpstreamSessions(state, 'b', uids)
    expect(await listUpstreamSessionNodes(state, 'b')).toEqual(['a'])
    await removeUpstreamSessions(state, 'a', [...uids, 'other'])
    expect(await listUpstreamSessionNodes(state, 'c')).toEqual(['b'])
  })

  test('of two processes that take over what a third has left, each session goes to one', async () => {
    const { state } = current()
    const row = (i: number, node: string) => upstreamSession(`s${String(i).padStart(2, '0')}`, node)
    const rows = Array.from({ length: 40 }, (_, i) => row(i, 'gone'))
    await insertUpstreamSessions(state, rows)
    await insertUpstreamSessions(state, [upstreamSession('mine', 'a')])
    const first = await claimUpstreamSessions(state, { gone: 'gone', self: 'a', limit: 5 })
    expect(first.toSorted((one, two) => (one.uid < two.uid ? -1 : 1))).toEqual(
      Array.from({ length: 5 }, (_, i) => row(i, 'a')),
    )
    const claims = ['a', 'b', 'a', 'b'].map((self) =>
      claimUpstreamSessions(state, { gone: 'gone', self, limit: 100 }),
    )
    const taken = (await Promise.all(claims)).flat()
    expect(taken.map(({ uid }) => uid).toSorted()).toEqual(rows.slice(5).map(({ uid }) => uid))
    expect(await listUpstreamSessionNodes(state, '')).not.toContain('gone')
    expect(await claimUpstreamSessions(state, { gone: 'gone', self: 'a', limit: 5 })).toEqual([])
  })
}
