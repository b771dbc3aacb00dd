import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { silentLog } from '../../lib/log.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { unread, type Reading, type SecretBackend } from './backend.ts'
import { followReferences, type References } from './follow-references.ts'

/** A place that says what it is told to say, when it is told to. */
function scripted(parallel = 4) {
  const state = {
    values: new Map<string, Reading | Promise<Reading>>(),
    healthy: true,
    health: undefined as Promise<Result<void, string>> | undefined,
    reads: 0,
    running: 0,
    most: 0,
    healths: 0,
    watched: new Map<string, () => void>(),
  }
  const backend: SecretBackend = {
    name: 'scripted',
    writable: false,
    parallel,
    describe: () => 'a test',
    check: () => undefined,
    async read(reference) {
      state.reads += 1
      state.most = Math.max(state.most, ++state.running)
      await Promise.resolve()
      const reading = await (state.values.get(reference) ?? unread('absent', 'it is not there'))
      state.running -= 1
      return reading
    },
    health() {
      state.healths += 1
      return state.health ?? Promise.resolve(state.healthy ? ok(undefined) : err('it is away'))
    },
    watch(reference, changed) {
      state.watched.set(reference, changed)
      return { close: () => void state.watched.delete(reference) }
    },
    close() {},
  }
  return { backend, state }
}

const eventually = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 5 })
const value = (text: string): Reading => ok(new SecretValue(text))
const undo: (() => void)[] = []
afterEach(() => {
  for (const one of undo.splice(0)) one()
})

function follow(backend: SecretBackend, timing: object = {}) {
  const clock = { ms: 0, nowMs: () => clock.ms, tickMs: () => clock.ms }
  const references = followReferences({
    find: (name) => (name === backend.name ? backend : undefined),
    clock,
    log: silentLog,
    timing: { everyMs: 10, retryMs: 10, keepMs: 1000, readMs: 50, settleMs: 1, ...timing },
  })
  undo.push(() => references.close())
  const told: string[] = []
  references.onChange((owners) => told.push([...owners].sort().join(' ')))
  return { references, clock, told }
}

const want = (...names: readonly string[]) => ({
  backend: 'scripted',
  refs: Object.fromEntries(names.map((name) => [name, name])),
})
const text = (references: References, owner: string, key: string): string | undefined =>
  references.value(owner, key)?.reveal()
const stateOf = (references: References, owner: string, key: string): string | undefined =>
  references.seen(owner).get(key)?.state

test('what is wanted is there when it was waited for, and one read serves all who want it', async () => {
  const { backend, state } = scripted()
  state.values.set('a', value('one'))
  const { references } = follow(backend, { retryMs: 100_000 })
  await Promise.all([references.follow('s1', want('a'), 1000), references.follow('s2', want('a', 'b'), 1000)])
  expect([text(references, 's1', 'a'), text(references, 's2', 'a'), text(references, 's2', 'b')]).toEqual([
    'one',
    'one',
    undefined,
  ])
  expect(references.seen('s2').get('b')).toEqual({ state: 'absent', atMs: 0, message: 'it is not there' })
  expect(references.seen('s1').get('a')).toEqual({ state: 'ready', atMs: 0, bytes: 3 })
  expect(state.reads).toBe(2)
})

test('another value has another mark, the same value the same; who has it is told once', async () => {
  const { backend, state } = scripted()
  state.values.set('a', value('one'))
  const { references, told } = follow(backend)
  await references.follow('s1', want('a'), 1000)
  await references.follow('s2', want('a'), 1000)
  const first = references.mark('s1', 'a')
  await eventually(() => expect(state.healths).toBeGreaterThan(2))
  expect([references.mark('s1', 'a'), references.mark('s2', 'a')]).toEqual([first, first])
  told.length = 0
  state.values.set('a', value('two'))
  state.watched.get('a')?.()
  await eventually(() => expect(told).toEqual(['s1 s2']))
  expect([text(references, 's1', 'a'), references.mark('s1', 'a') === first]).toEqual(['two', false])
})

test('what is gone is not used any longer; what cannot be asked for is, for a time', async () => {
  const { backend, state } = scripted()
  for (const name of ['gone', 'broken', 'away']) state.values.set(name, value(name))
  const { references, clock } = follow(backend)
  await references.follow('s', want('gone', 'broken', 'away'), 1000)
  state.values.set('gone', unread('absent', 'gone'))
  state.values.set('broken', unread('unusable', 'broken'))
  state.values.set('away', unread('away', 'no network'))
  await eventually(() => expect(stateOf(references, 's', 'away')).toBe('kept'))
  expect(['gone', 'broken', 'away'].map((key) => text(references, 's', key))).toEqual([
    undefined,
    undefined,
    'away',
  ])
  expect(references.seen('s').get('away')).toMatchObject({ state: 'kept', bytes: 4, message: 'no network' })
  clock.ms = 999
  await sleep(40)
  expect(text(references, 's', 'away')).toBe('away')
  clock.ms = 1000
  await eventually(() => expect(stateOf(references, 's', 'away')).toBe('away'))
  expect([text(references, 's', 'away'), references.mark('s', 'away')]).toEqual([undefined, undefined])
  state.values.set('away', value('back'))
  await eventually(() => expect(text(references, 's', 'away')).toBe('back'))
})

test('a backend that is away is asked once, not for each of its values', async () => {
  const { backend, state } = scripted()
  for (let i = 0; i < 100; i++) state.values.set(String(i), value('x'))
  const { references } = follow(backend)
  await references.follow('s', want(...state.values.keys()), 1000)
  state.healthy = false
  const { reads } = state
  await eventually(() => expect(stateOf(references, 's', '99')).toBe('kept'))
  const { healths } = state
  await eventually(() => expect(state.healths).toBeGreaterThan(healths + 2))
  expect(state.reads).toBeLessThanOrEqual(reads + 100)
  expect(text(references, 's', '0')).toBe('x')
})

test('one that does not answer delays nobody, is not asked again meanwhile, and its values end all the same', async () => {
  const { backend, state } = scripted(2)
  const answer = Promise.withResolvers<Reading>()
  state.values.set('fast', value('fast'))
  const { references, clock } = follow(backend)
  await references.follow('s', want('slow', 'fast'), 1000)
  state.values.set('slow', value('first'))
  await eventually(() => expect(text(references, 's', 'slow')).toBe('first'))
  state.values.set('slow', answer.promise)
  await eventually(() => expect(stateOf(references, 's', 'slow')).toBe('kept'))
  const { running } = state
  await sleep(60)
  expect(state.running).toBeLessThanOrEqual(Math.max(running, 2))
  expect(stateOf(references, 's', 'fast')).toBe('ready')
  clock.ms = 1000
  await eventually(() => expect(text(references, 's', 'slow')).toBeUndefined())
  answer.resolve(value('late'))
  await eventually(() => expect(text(references, 's', 'slow')).toBe('late'))
})

test('one that does not even say how it is, is asked that once', async () => {
  const { backend, state } = scripted()
  state.values.set('a', value('first'))
  const { references } = follow(backend, { everyMs: 5, retryMs: 5, readMs: 20 })
  await references.follow('s', want('a'), 1000)
  const answer = Promise.withResolvers<Result<void, string>>()
  state.health = answer.promise
  await vi.waitFor(() =>
    expect(references.seen('s').get('a')?.message).toBe('there was no answer within 0.02 s'),
  )
  const { healths, reads } = state
  await sleep(60)
  expect([state.healths, state.reads]).toEqual([healths, reads])
  expect([stateOf(references, 's', 'a'), text(references, 's', 'a')]).toEqual(['kept', 'first'])
  state.values.set('a', value('second'))
  state.health = undefined
  answer.resolve(ok(undefined))
  await eventually(() => expect(text(references, 's', 'a')).toBe('second'))
})

test('what is wanted by somebody who waits is looked for again, if it was missing', async () => {
  const { backend, state } = scripted()
  const { references } = follow(backend, { retryMs: 100_000 })
  await references.follow('s1', want('a'), 1000)
  expect(stateOf(references, 's1', 'a')).toBe('absent')
  state.values.set('a', value('put there'))
  await references.follow('s2', want('a'), 1000)
  expect([text(references, 's1', 'a'), text(references, 's2', 'a')]).toEqual(['put there', 'put there'])
})

test('who waits, waits for the time that they give, and no more', async () => {
  const { backend, state } = scripted()
  const answer = Promise.withResolvers<Reading>()
  state.values.set('a', answer.promise)
  const { references, told } = follow(backend, { readMs: 60_000 })
  await references.follow('s', want('a'), 5)
  expect(stateOf(references, 's', 'a')).toBe('pending')
  answer.resolve(value('late'))
  await eventually(() => expect(told).toEqual(['s']))
  expect(text(references, 's', 'a')).toBe('late')
})

test('a thousand values of a slow place are read a few at a time', async () => {
  const { backend, state } = scripted(3)
  const names = Array.from({ length: 1000 }, (_, i) => `v${i}`)
  for (const name of names) state.values.set(name, value(name))
  const { references } = follow(backend, { retryMs: 100_000 })
  await references.follow('s', want(...names), 10_000)
  expect(names.filter((name) => text(references, 's', name) !== name)).toEqual([])
  expect(state.most).toBe(3)
})

test('what nobody wants any more is forgotten; what somebody else wants is not', async () => {
  const { backend, state } = scripted()
  state.values.set('a', value('a'))
  state.values.set('b', value('b'))
  const { references } = follow(backend)
  await references.follow('s1', want('a', 'b'), 1000)
  await references.follow('s2', want('b'), 1000)
  const mark = references.mark('s2', 'b')
  await references.follow('s1', undefined)
  expect([...state.watched.keys()]).toEqual(['b'])
  expect([text(references, 's1', 'a'), text(references, 's2', 'b')]).toEqual([undefined, 'b'])
  expect(references.mark('s2', 'b')).toBe(mark)
  await references.follow('s2', { backend: 'gone', refs: { b: 'b' } })
  expect([text(references, 's2', 'b'), references.seen('s2').size, state.watched.size]).toEqual([
    undefined,
    0,
    0,
  ])
})

test('one that throws, and one whose health throws, are away', async () => {
  const { backend, state } = scripted()
  state.values.set('a', value('a'))
  const { references } = follow(backend)
  await references.follow('s', want('a'), 1000)
  const failing = Promise.reject<Reading>(new Error('planted-in-an-error'))
  failing.catch(() => undefined)
  state.values.set('a', failing)
  await eventually(() => expect(stateOf(references, 's', 'a')).toBe('kept'))
  expect(references.seen('s').get('a')?.message).toBe('it could not be asked')
})
