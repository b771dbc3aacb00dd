import { afterEach, describe, expect, test } from 'vitest'
import type { AuditRecorder } from '../../src/audit/recorder.ts'
import type { AuditFilter } from '../../src/audit/readings.ts'
import { intent, outcome } from './audit-fixture.ts'
import type { Places } from './audit-places.ts'

const LAPTOP = 'ab12cd34'.padEnd(64, '0')
const TWIN = 'ab12cd34'.padEnd(64, 'f')
const CI = 'ff00'.padEnd(64, '1')

/** What is found of a record, wherever it lies: by who it was, what kind it is, and by session. */
export function searchContract(places: Places): void {
  const open: AuditRecorder[] = []
  afterEach(async () => {
    for (const recorder of open.splice(0)) await recorder.close()
  })

  async function start(): Promise<AuditRecorder> {
    const recorder = await (await places.fresh()).open()
    open.push(recorder)
    return recorder
  }

  const ada = {
    user: 'ada',
    principal: 'token:1',
    principalName: 'laptop',
    token: 'laptop',
    tokenSha: LAPTOP,
  }
  const twin = { ...ada, principal: 'token:2', principalName: 'twin', token: 'twin', tokenSha: TWIN }
  const bob = { user: 'bob', principal: 'token:3', principalName: 'ci', token: 'ci', tokenSha: CI }
  const admin = { principal: 'user:9', principalName: 'root', user: 'root', server: undefined, target: 'x' }

  /** One of each: four calls, a session, three changes (one of them refused, one as somebody else), sign-ins. */
  async function fill(recorder: AuditRecorder): Promise<void> {
    const say = (id: string, atMs: number, more: object): unknown =>
      recorder.intent(intent(id, { ...more, atMs }))
    say('b-1', 1_000, { ...ada, event: 'initialize' })
    say('b-2', 2_000, { ...ada, session: 's1' })
    say('b-3', 3_000, { ...ada, session: 's1', decision: 'deny', reason: 'forbidden' })
    say('b-4', 4_000, { ...twin, project: 'other' })
    say('b-5', 5_000, bob)
    say('b-6', 6_000, { ...admin, event: 'create tokens', project: 'demo' })
    say('b-7', 7_000, { ...admin, event: 'delete servers', project: undefined })
    say('b-8', 8_000, { ...bob, event: 'create users', project: undefined, decision: 'deny' })
    say('b-9', 9_000, {
      ...admin,
      principal: 'user:ada',
      principalName: 'ada',
      user: 'ada',
      actor: 'user:9',
      event: 'edit servers',
    })
    say('b-10', 10_000, { ...admin, event: 'sign-in local', project: undefined, target: undefined })
    recorder.outcome(outcome('b-2', { status: 'tool-error' }))
    await recorder.query({ limit: 1 })
    recorder.outcome(outcome('b-1', { session: 's1' }))
    recorder.refused('10.0.0.9', 'wrong password', { event: 'sign-in local', account: 'd1' })
    await recorder.flush()
  }

  describe('a search', () => {
    test('finds by person, token (name or digest), kind, decision, and who acted as whom', async () => {
      const recorder = await start()
      await fill(recorder)
      const found = async (filter: Partial<AuditFilter>): Promise<string[]> =>
        (await recorder.query({ limit: 20, ...filter })).map(({ id }) => id)
      // oxfmt-ignore
      const rows: readonly (readonly [Partial<AuditFilter>, string[]])[] = [
        [{ user: 'ada' }, ['b-1', 'b-2', 'b-3', 'b-4', 'b-9']],
        [{ user: 'ad' }, []],
        [{ token: 'laptop' }, ['b-1', 'b-2', 'b-3']],
        [{ token: LAPTOP }, ['b-1', 'b-2', 'b-3']],
        [{ token: 'AB12CD34' }, ['b-1', 'b-2', 'b-3', 'b-4']],
        [{ token: 'ab12cd3' }, []],
        [{ token: 'ab12cd35' }, []],
        [{ token: "x' OR '1'='1" }, []],
        [{ user: 'ada', token: 'twin' }, ['b-4']],
        [{ user: 'bob', token: 'laptop' }, []],
        [{ kind: 'tool_call' }, ['b-2', 'b-3', 'b-4', 'b-5']],
        [{ kind: 'session_bind' }, ['b-1']],
        [{ kind: 'token' }, ['b-6']],
        [{ kind: 'change' }, ['b-7', 'b-9']],
        [{ kind: 'access_decision' }, ['b-8']],
        [{ kind: 'gap' }, []],
        [{ kind: 'tool_call', decision: 'deny' }, ['b-3']],
        [{ kind: 'tool_call', project: 'demo', user: 'ada' }, ['b-2', 'b-3']],
        [{ decision: 'deny', sinceMs: 3_000, untilMs: 9_000 }, ['b-3', 'b-8']],
        [{ principal: 'user:9' }, ['b-6', 'b-7', 'b-9', 'b-10']],
        [{ principal: 'root' }, ['b-6', 'b-7', 'b-10']],
        [{ principal: 'user:9', kind: 'change', limit: 1 }, ['b-9']],
      ]
      for (const [filter, ids] of rows) expect([filter, await found(filter)]).toEqual([filter, ids])
    })

    test('shows who it was, and a sign-in that failed with the digest of its account', async () => {
      const recorder = await start()
      await fill(recorder)
      expect(await recorder.query({ limit: 20, token: 'laptop', kind: 'tool_call' })).toMatchObject([
        { user: 'ada', token: 'laptop', tokenSha: LAPTOP, kind: 'tool_call', status: 'tool-error' },
        { user: 'ada', decision: 'deny' },
      ])
      expect(await recorder.query({ limit: 1, principal: 'user:9', kind: 'change' })).toMatchObject([
        { principal: 'user:ada', actor: 'user:9', user: 'ada' },
      ])
      const signIns = await recorder.query({ limit: 20, kind: 'sign_in' })
      expect(signIns).toMatchObject([
        { id: 'b-10', decision: 'allow', user: 'root' },
        { event: 'sign-in local', principalName: '10.0.0.9', target: 'd1', decision: 'deny', count: 1 },
      ])
      expect(signIns[1]).not.toHaveProperty('user')
    })

    test('finds what a grant was sent with, and what was done with it', async () => {
      const recorder = await start()
      await fill(recorder)
      const sent = { ...ada, session: 's1', grant: 'oauth:notion', injected: 'authorization' }
      recorder.intent(intent('g-1', { ...sent, atMs: 11_000 }))
      const opened = {
        principal: 'system',
        principalName: 'system',
        event: 'inject grants',
        server: 'notion',
      }
      const query = { ...opened, grant: 'mcp:maps', injected: '?api_key', project: undefined }
      recorder.intent(intent('g-2', { ...query, atMs: 12_000, target: undefined }))
      const by = { ...admin, project: undefined, target: 'oauth:notion' }
      recorder.intent(intent('g-3', { ...by, event: 'create grants', atMs: 13_000 }))
      recorder.outcome(outcome('g-1'))
      await recorder.flush()
      const found = async (filter: Partial<AuditFilter>): Promise<object[]> =>
        recorder.query({ limit: 20, ...filter })
      expect(await found({ grant: 'oauth:notion' })).toMatchObject([
        { id: 'g-1', kind: 'tool_call', grant: 'oauth:notion', injected: 'authorization', status: 'ok' },
        { id: 'g-3', kind: 'grant', grant: 'oauth:notion', target: 'oauth:notion' },
      ])
      expect(await found({ kind: 'grant' })).toMatchObject([
        { id: 'g-2', injected: '?api_key' },
        { id: 'g-3' },
      ])
      expect(await found({ grant: 'oauth:notion', user: 'ada', kind: 'tool_call' })).toHaveLength(1)
      expect(await found({ grant: 'oauth' })).toEqual([])
      expect((await found({ token: 'laptop' }))[0]).not.toHaveProperty('grant')
    })

    test('shows what was counted until then, without waiting for the end of its window', async () => {
      const recorder = await start()
      for (let i = 0; i < 3; i++) recorder.refused('10.0.0.9', 'no token')
      expect(await recorder.query({ limit: 9 })).toMatchObject([{ event: 'refusals', count: 3 }])
      recorder.refused('10.0.0.9', 'no token')
      expect(await recorder.query({ limit: 9 })).toMatchObject([{ count: 3 }, { count: 1 }])
    })

    test('finds what everybody called local-admin did once, though key and name are the same', async () => {
      const recorder = await start()
      const local = { principal: 'local-admin', principalName: 'local-admin', actor: 'local-admin' }
      await recorder.intent(intent('b-1', local)).durable
      expect(await recorder.query({ limit: 9, principal: 'local-admin' })).toHaveLength(1)
    })
  })

  describe('sessions', () => {
    test('are counted by session and caller, with and without sessions, the one used last at the end', async () => {
      const recorder = await start()
      await fill(recorder)
      recorder.intent(intent('c-1', { ...bob, atMs: 11_000, event: 'tools/list' }))
      await recorder.flush()
      const { items, complete } = await recorder.sessions({ limit: 10 })
      expect(complete).toBe(true)
      const all = { principalName: expect.any(String) as string, denied: 0 }
      expect(items).toEqual([
        {
          ...ada,
          ...all,
          session: 's1',
          project: 'demo',
          firstAtMs: 1_000,
          lastAtMs: 3_000,
          calls: 2,
          requests: 3,
          denied: 1,
        },
        { ...twin, ...all, project: 'other', firstAtMs: 4_000, lastAtMs: 4_000, calls: 1, requests: 1 },
        { ...bob, ...all, project: 'demo', firstAtMs: 5_000, lastAtMs: 11_000, calls: 1, requests: 2 },
      ])
    })

    test('are found by the same filters', async () => {
      const recorder = await start()
      await fill(recorder)
      const found = async (filter: Partial<AuditFilter>): Promise<unknown[]> =>
        (await recorder.sessions({ limit: 10, ...filter })).items.map(({ token, calls }) => [token, calls])
      expect(await found({ user: 'ada' })).toEqual([
        ['laptop', 2],
        ['twin', 1],
      ])
      expect(await found({ user: 'ada', limit: 1 })).toEqual([['twin', 1]])
      expect(await found({ token: 'ab12cd34' })).toEqual([
        ['laptop', 2],
        ['twin', 1],
      ])
      expect(await found({ project: 'other' })).toEqual([['twin', 1]])
      expect(await found({ decision: 'deny' })).toEqual([['laptop', 1]])
      expect(await found({ kind: 'session_bind' })).toEqual([['laptop', 0]])
      expect(await found({ sinceMs: 3_000, untilMs: 5_000 })).toEqual([
        ['laptop', 1],
        ['twin', 1],
      ])
      expect(await found({ principal: 'nobody' })).toEqual([])
    })
  })
}
