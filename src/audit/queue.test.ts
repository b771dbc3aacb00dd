import { afterEach, describe, expect, test, vi } from 'vitest'
import type { SegmentMessage } from './commit-messages.ts'
import type { Intent } from './entry.ts'
import { createSegmentQueue, type SegmentQueue } from './queue.ts'

/** The queue without a thread: the test is the disk. */
function atDisk(maxQueuedEntries = 100) {
  vi.useFakeTimers()
  const posted: SegmentMessage[] = []
  const changes: boolean[] = []
  const queue = createSegmentQueue({
    maxQueuedEntries,
    commitEveryMs: 2,
    nowMs: () => Date.now(),
    tickMs: () => performance.now(),
    post: (message) => void posted.push(message),
    changed: (state) => void changes.push(state.failing !== undefined),
  })
  queues.push(queue)
  return { queue, posted, changes }
}
const queues: SegmentQueue[] = []
afterEach(() => {
  for (const queue of queues.splice(0)) queue.stop()
  vi.useRealTimers()
})

const intent = (id: string): Intent => ({
  type: 'intent',
  id,
  atMs: 1_000,
  event: 'tools/call',
  principal: 'local-admin',
  principalName: 'local-admin',
  decision: 'allow',
})
const outcome = (of: string) => ({ type: 'outcome', of, atMs: 1_001, status: 'ok', durationMs: 1 }) as const

describe('the queue', () => {
  test('posts an intent in this turn of the loop when the disk is idle', () => {
    const { queue, posted } = atDisk()
    queue.intent(intent('b-1'))
    queue.intent(intent('b-2'))
    expect(posted).toEqual([])
    vi.advanceTimersByTime(0)
    expect(posted).toMatchObject([{ count: 2, firstAtMs: 1_000, lastAtMs: 1_000 }])
  })

  test('collects while the disk is at work, and keeps its pace', () => {
    const { queue, posted } = atDisk()
    for (let i = 0; i < 8; i++) queue.intent(intent(`b-${i}`))
    vi.advanceTimersByTime(0)
    queue.intent(intent('b-8'))
    queue.intent(intent('b-9'))
    vi.advanceTimersByTime(1)
    expect(posted).toHaveLength(1)
    queue.committed()
    vi.advanceTimersByTime(0)
    expect(posted).toHaveLength(1)
    vi.advanceTimersByTime(1)
    expect(posted).toMatchObject([{ count: 8 }, { count: 2 }])
  })

  test('does not make a single caller wait', () => {
    const { queue, posted } = atDisk()
    for (let i = 1; i <= 3; i++) {
      queue.intent(intent(`b-${i}`))
      vi.advanceTimersByTime(0)
      expect(posted).toHaveLength(i)
      queue.committed()
    }
  })

  test('lets an outcome wait for company, though not for long', () => {
    const { queue, posted } = atDisk()
    queue.outcome(outcome('b-1'))
    vi.advanceTimersByTime(10)
    expect(posted).toEqual([])
    queue.intent(intent('b-2'))
    vi.advanceTimersByTime(0)
    expect(posted).toMatchObject([{ count: 2, lastAtMs: 1_001 }])
    queue.committed()
    queue.outcome(outcome('b-2'))
    vi.advanceTimersByTime(30)
    expect(posted).toHaveLength(2)
  })

  test('cuts segments at 2,000 entries', () => {
    const { queue, posted } = atDisk(10_000)
    for (let i = 0; i < 4_500; i++) queue.intent(intent(`b-${i}`))
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(5)
      queue.committed()
    }
    expect(posted.map((message) => message.count)).toEqual([2_000, 2_000, 500])
  })

  test('answers whoever asks before or after the commit', async () => {
    const { queue } = atDisk()
    const segment = queue.intent(intent('b-1'))
    const before = segment.durable
    vi.advanceTimersByTime(0)
    queue.committed()
    expect(segment.committed).toBe(true)
    expect(await before).toBe(true)
    expect(await segment.durable).toBe(true)
  })

  test('offers a failed segment again every 250 ms, and tells everyone who waits', async () => {
    const { queue, posted, changes } = atDisk()
    const first = queue.intent(intent('b-1'))
    vi.advanceTimersByTime(0)
    const second = queue.intent(intent('b-2'))
    queue.failed('full')
    expect([await first.durable, await second.durable]).toEqual([false, false])
    expect(queue.accepts()).toBe(false)
    vi.advanceTimersByTime(250)
    expect(posted).toHaveLength(2)
    expect(posted[1]).toEqual(posted[0])
    queue.failed('full')
    vi.advanceTimersByTime(250)
    queue.committed()
    expect(queue.accepts()).toBe(true)
    expect(changes).toEqual([true, false])
    // What comes now must not share a segment whose waiters were told that it failed.
    expect(queue.intent(intent('b-3'))).not.toBe(second)
    vi.advanceTimersByTime(5)
    queue.committed()
    expect(second.committed).toBe(true)
  })

  test('refuses while what comes next would not be taken, unless a segment is at the disk to show it', () => {
    const { queue, posted, changes } = atDisk()
    queue.unreachable('away')
    queue.unreachable('still away')
    expect([queue.accepts(), queue.state().failing?.reason, changes]).toEqual([false, 'away', [true]])
    queue.reachable()
    queue.reachable()
    expect([queue.accepts(), changes]).toEqual([true, [true, false]])
    queue.intent(intent('b-1'))
    vi.advanceTimersByTime(0)
    queue.unreachable('away')
    expect(queue.accepts()).toBe(true)
    queue.failed('full')
    queue.reachable()
    expect(queue.accepts()).toBe(false)
    vi.advanceTimersByTime(250)
    queue.committed()
    expect([queue.accepts(), posted.length]).toEqual([true, 2])
  })

  test('refuses what is above its bound, and says afterwards how much that was', () => {
    const { queue, posted } = atDisk(4)
    for (let i = 0; i < 8; i++) queue.intent(intent(`b-${i}`))
    expect(queue.accepts()).toBe(false)
    expect(queue.state()).toMatchObject({ queuedEntries: 5, lostEntries: 3 })
    vi.advanceTimersByTime(0)
    queue.committed()
    vi.advanceTimersByTime(50)
    expect(queue.accepts()).toBe(true)
    expect(posted.at(-1)?.body).toContain('"entriesLost":3')
  })
})
