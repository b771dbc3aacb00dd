import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { AuditRecorder, RecorderOptions } from '../../src/audit/recorder.ts'
import { intent, outcome, recordEach } from './audit-fixture.ts'
import type { Places, RecordPlace } from './audit-places.ts'

const DAY_MS = 86_400_000

/** What every record does, wherever it lies. */
export function recordContract(places: Places): void {
  const open: AuditRecorder[] = []
  afterEach(async () => {
    for (const recorder of open.splice(0)) await recorder.close()
  })
  const place = (): Promise<RecordPlace> => places.fresh()

  async function start(at: RecordPlace, options: Partial<RecorderOptions> = {}): Promise<AuditRecorder> {
    const recorder = await at.open(options)
    open.push(recorder)
    return recorder
  }

  async function stop(recorder: AuditRecorder): Promise<void> {
    open.splice(open.indexOf(recorder), 1)
    await recorder.close()
  }

  const archived = (at: RecordPlace): string[] => readdirSync(join(at.folder, 'audit-archive'))

  describe('a record', () => {
    test('joins intents with their outcomes, also across segments and restarts', async () => {
      const at = await place()
      const first = await start(at)
      await recordEach(first, ['b-1', 'b-2'])
      first.outcome(outcome('b-1', { status: 'error', code: 'upstream_timeout', durationMs: 2.345 }))
      expect(await first.query({ limit: 10 })).toMatchObject([{ id: 'b-1' }, { id: 'b-2' }])
      await first.flush()
      expect(await first.query({ limit: 10 })).toMatchObject([
        { id: 'b-1', status: 'error', code: 'upstream_timeout', durationMs: 2.35 },
        { id: 'b-2', target: 'echo' },
      ])
      await stop(first)
      const second = await start(at)
      second.outcome(outcome('b-2'))
      await second.flush()
      expect(await second.query({ limit: 1 })).toMatchObject([{ id: 'b-2', status: 'ok' }])
      expect(await at.verify()).toMatchObject({ ok: true, entries: 4 })
    })

    test('groups what is said in one turn of the loop into one segment', async () => {
      const recorder = await start(await place())
      const segments = Array.from({ length: 50 }, (_, i) => recorder.intent(intent(`b-${i}`)))
      expect(new Set(segments).size).toBe(1)
      expect(await segments[0]!.durable).toBe(true)
      expect(segments[0]!.committed).toBe(true)
      expect(recorder.stats()).toMatchObject({ committedEntries: 50, committedSegments: 1, tipSeq: 1 })
    })

    test('has one writer', async () => {
      const at = await place()
      const first = await start(at)
      await expect(at.open()).rejects.toMatchObject({
        code: 'unavailable',
        hint: expect.stringContaining('castellan down') as string,
      })
      await stop(first)
      await start(at)
    })

    test('stays valid while the clock jumps back, and is listed by time', async () => {
      const at = await place()
      const recorder = await start(at)
      const nowMs = Date.now()
      await recordEach(recorder, ['b-1'], nowMs)
      await recordEach(recorder, ['b-2'], nowMs - 40 * DAY_MS)
      await recordEach(recorder, ['b-3'], Number.NaN)
      await recorder.flush()
      expect((await recorder.query({ limit: 9 })).map((row) => row.id)).toEqual(['b-3', 'b-2', 'b-1'])
      await stop(recorder)
      expect(await at.verify()).toMatchObject({ ok: true, segments: 3 })
    })

    test('keeps what needs escaping, and no more than 512 characters of anything', async () => {
      const recorder = await start(await place())
      const target = `"\\\n\u0000é\ud800${'x'.repeat(600)}`
      await recorder.intent(intent('b-1', { target, reason: 'non"sense' })).durable
      const [row] = await recorder.query({ limit: 1 })
      expect(row).toMatchObject({ reason: 'non"sense' })
      expect(row!.target).toHaveLength(512)
      // PostgreSQL keeps no NUL in the listing; the record itself has it escaped.
      expect(row!.target!.replace('\ufffd', '\0').startsWith('"\\\n\u0000é')).toBe(true)
    })

    test('counts refusals and writes them once for each source and reason', async () => {
      const recorder = await start(await place())
      for (let i = 0; i < 5_000; i++) recorder.refused(`10.0.${i >> 8}.${i & 255}`, 'no token')
      for (let i = 0; i < 7; i++) recorder.refused('10.0.0.1', 'no token')
      await recorder.flush()
      const rows = await recorder.query({ limit: 10_000 })
      expect(rows).toHaveLength(1_001)
      expect(rows.find((row) => row.principalName === '10.0.0.1')).toMatchObject({
        count: 8,
        reason: 'no token',
      })
      expect(rows.find((row) => row.principalName === 'others')).toMatchObject({ count: 4_000 })
    })
  })

  describe('a query', () => {
    test('finds by project, principal (key or name), tool (with or without its server) and time', async () => {
      const recorder = await start(await place())
      const say = (id: string, more: object, atMs: number): unknown =>
        recorder.intent(intent(id, { ...more, atMs }))
      say('b-1', { project: 'a', target: 'echo' }, 1_000)
      say('b-2', { project: 'b', target: 'echo', principal: 'token:tok_2', principalName: 'ci' }, 2_000)
      say('b-3', { project: 'b', target: 'read', server: 'files' }, 3_000)
      say('b-4', { project: 'b', target: 'files__read', server: 'odd' }, 4_000)
      await recorder.flush()
      const found = async (filter: object): Promise<string[]> =>
        (await recorder.query({ limit: 10, ...filter })).map((row) => row.id)
      expect(await found({})).toEqual(['b-1', 'b-2', 'b-3', 'b-4'])
      expect(await found({ limit: 2 })).toEqual(['b-3', 'b-4'])
      expect(await found({ project: 'b' })).toEqual(['b-2', 'b-3', 'b-4'])
      expect(await found({ project: 'b', limit: 1 })).toEqual(['b-4'])
      expect(await found({ principal: 'ci' })).toEqual(['b-2'])
      expect(await found({ principal: 'token:tok_2' })).toEqual(['b-2'])
      expect(await found({ tool: 'echo' })).toEqual(['b-1', 'b-2'])
      expect(await found({ tool: 'files__read' })).toEqual(['b-3', 'b-4'])
      expect(await found({ tool: 'echo', principal: 'laptop' })).toEqual(['b-1'])
      expect(await found({ sinceMs: 2_000, untilMs: 4_000 })).toEqual(['b-2', 'b-3'])
      expect(await found({ project: "b' OR 1=1 --" })).toEqual([])
    })
  })

  describe('while commits fail', () => {
    test('nothing is accepted, waiting calls are told, and what was queued is written afterwards', async () => {
      const at = await place()
      const recorder = await start(at)
      await recordEach(recorder, ['b-1'])
      const unblock = await at.blockCommits()
      const segment = recorder.intent(intent('b-2'))
      recorder.outcome(outcome('b-1'))
      expect(await segment.durable).toBe(false)
      expect(recorder.accepts()).toBe(false)
      recorder.outcome(outcome('b-2'))
      expect(recorder.stats().failing?.reason).toMatch(/locked|refuses the statement/)
      await unblock()
      await expect.poll(() => recorder.accepts()).toBe(true)
      expect(await recorder.intent(intent('b-3')).durable).toBe(true)
      await stop(recorder)
      expect(await at.verify()).toMatchObject({ ok: true, entries: 5 })
    })

    test('what does not fit into the queue is counted in a gap', async () => {
      const at = await place()
      const recorder = await start(at, { maxQueuedEntries: 100 })
      const unblock = await at.blockCommits()
      expect(await recorder.intent(intent('b-0')).durable).toBe(false)
      for (let i = 1; i < 200; i++) recorder.intent(intent(`b-${i}`))
      expect(await recorder.intent(intent('b-200')).durable).toBe(false)
      expect(recorder.stats()).toMatchObject({ queuedEntries: 125, lostEntries: 76 })
      await unblock()
      await expect.poll(() => recorder.accepts()).toBe(true)
      await recorder.flush()
      const gap = (await recorder.query({ limit: 200 })).find((row) => row.event === 'gap')
      expect(gap).toMatchObject({ count: 76 })
      await stop(recorder)
      expect(await at.verify()).toMatchObject({ ok: true, entries: 126 })
    })

    test('the queue accepts nothing over its bound, and outcomes of calls on their way still fit', async () => {
      const recorder = await start(await place(), { maxQueuedEntries: 10 })
      for (let i = 0; i < 10; i++) recorder.intent(intent(`b-${i}`))
      expect(recorder.accepts()).toBe(false)
      recorder.outcome(outcome('b-0'))
      await recorder.flush()
      expect(recorder.accepts()).toBe(true)
      expect(recorder.stats()).toMatchObject({ committedEntries: 11, lostEntries: 0 })
    })
  })

  describe('retention', () => {
    test('moves old segments into a signed archive, and what remains still verifies', async () => {
      const at = await place()
      const recorder = await start(at, { retentionDays: 30 })
      const old = Date.now() - 40 * DAY_MS
      await recordEach(recorder, ['b-1', 'b-2'], old)
      // A clock that was ahead for a moment, between segments that are old.
      await recordEach(recorder, ['b-3'], Date.now() + 400 * DAY_MS)
      await recordEach(recorder, ['b-4'], old)
      // One whose age nothing proves: no older segment follows it.
      await recordEach(recorder, ['ahead'], Date.now() + 400 * DAY_MS)
      await recordEach(recorder, ['b-5', 'b-6'])
      await recorder.flush()
      expect(await recorder.retain()).toBe(4)
      expect(await recorder.retain()).toBe(0)
      expect((await recorder.query({ limit: 10 })).map((row) => row.id)).toEqual(['b-5', 'b-6', 'ahead'])
      await recordEach(recorder, ['b-7'])
      await stop(recorder)
      expect(archived(at)).toEqual([expect.stringMatching(/^daemon.*-1-4\.jsonl\.gz$/)])
      expect(await at.verify()).toMatchObject({ ok: true, archives: 1, segments: 8, entries: 8 })
      const again = await start(at)
      await recordEach(again, ['b-8'])
      await stop(again)
      expect(await at.verify()).toMatchObject({ ok: true, segments: 9 })
    })

    test('leaves an archive and a checkpoint that cannot be changed or removed unseen', async () => {
      const at = await place()
      const recorder = await start(at)
      await recordEach(recorder, ['b-1', 'b-2', 'b-3'], Date.now() - 100 * DAY_MS)
      await recordEach(recorder, ['b-4'])
      expect(await recorder.retain()).toBe(3)
      await stop(recorder)
      const file = join(at.folder, 'audit-archive', archived(at)[0] ?? '')
      const bytes = readFileSync(file)
      writeFileSync(file, Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]))
      expect((await at.verify()).findings).toMatchObject([{ what: 'changed', segment: 1, to: 3 }])
      rmSync(file)
      expect((await at.verify()).findings).toMatchObject([{ what: 'missing', segment: 1, to: 3 }])
      await at.sql(`UPDATE checkpoints SET content = replace(content, '"entries":3', '"entries":2')`)
      expect((await at.verify()).findings[0]).toMatchObject({ what: 'changed', segment: 1, to: 3 })
      await at.sql('DELETE FROM checkpoints')
      expect((await at.verify()).findings[0]).toMatchObject({ what: 'missing', segment: 1, to: 3 })
    })
  })

  test('nothing is taken after the end', async () => {
    const recorder = await start(await place())
    await stop(recorder)
    expect(recorder.accepts()).toBe(false)
    expect(await recorder.intent(intent('b-1')).durable).toBe(false)
  })

  test('verify works beside a writer', async () => {
    const at = await place()
    const recorder = await start(at)
    for (let i = 0; i < 200; i++) {
      recorder.intent(intent(`b-${i}`))
      if (i % 10 === 0) {
        expect((await at.verify()).findings).toEqual([])
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await recorder.flush()
    expect(await at.verify()).toMatchObject({ ok: true, entries: 200 })
  })
}
