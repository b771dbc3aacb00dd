import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Fault } from '../lib/fault.ts'
import { silentLog } from '../lib/log.ts'
import {
  createMemoryStore,
  held,
  setClock,
  staticGrant,
  type MemoryStore,
  type SetClock,
} from '../../test/fixtures/grant-memory.ts'
import { keyOf, type Grant } from './grant.ts'
import { createKeeper, type Keeper } from './keeper.ts'

let clock: SetClock
let memory: MemoryStore
const keepers: Keeper[] = []
const told: string[] = []

beforeEach(() => {
  vi.useFakeTimers()
  clock = setClock()
  memory = createMemoryStore()
  told.length = 0
})
afterEach(() => {
  for (const keeper of keepers.splice(0)) keeper.close()
  vi.useRealTimers()
})

function open(shared = true, maxKnown?: number): Keeper {
  const keeper = createKeeper({
    store: memory.open(),
    clock,
    log: silentLog,
    shared,
    changed: (key) => void told.push(key),
    ...(maxKnown === undefined ? {} : { maxKnown }),
  })
  keepers.push(keeper)
  return keeper
}

/** Time goes by, in steps in which the timers see it. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    clock.advance(Math.min(left, 100))
    await vi.advanceTimersByTimeAsync(Math.min(left, 100))
  }
}

const GIVEN = staticGrant()
const KEY = keyOf(GIVEN)
const give = (keeper: Keeper): Promise<Grant | undefined> => keeper.update(GIVEN, () => GIVEN)

test('what is in memory is not read again; that there is none is believed for a second', async () => {
  const keeper = open(false)
  expect(await keeper.find(GIVEN)).toBeUndefined()
  expect(await keeper.find(GIVEN)).toBeUndefined()
  expect(memory.counts.find).toBe(1)
  memory.write(GIVEN)
  expect(await keeper.find(GIVEN)).toBeUndefined()
  clock.advance(1001)
  expect(await keeper.find(GIVEN)).toMatchObject({ name: 'mcp:notes', version: 1 })
  expect(await keeper.find(GIVEN)).toBe(keeper.peek(KEY))
  expect(memory.counts.find).toBe(2)
})

test('what is given here is there at once, whatever was believed before', async () => {
  const keeper = open()
  await keeper.find(GIVEN)
  await give(keeper)
  expect(await keeper.find(GIVEN)).toMatchObject({ version: 1 })
})

test('a value is opened once a minute, and is not in the open for longer than that when nobody asks', async () => {
  let opened = 0
  const secret = held('given')
  const values = {
    token: {
      open: () => {
        opened++
        return secret.open()
      },
    },
  }
  const keeper = open(false)
  const grant = await keeper.update(GIVEN, () => ({ ...GIVEN, values }))
  if (grant === undefined) throw new Error('it was kept')
  const first = keeper.credential(grant)
  await pass(59_900)
  expect(keeper.credential(grant)).toBe(first)
  expect(opened).toBe(1)
  await pass(200)
  keeper.credential(grant)
  expect(opened).toBe(2)
})

test('one that does not open is none, and the next change of it is looked at again', async () => {
  const keeper = open(false)
  const broken = {
    open(): never {
      throw new Fault('unavailable', { hint: 'another key' })
    },
  }
  const grant = await keeper.update(GIVEN, () => ({ ...GIVEN, values: { token: broken } }))
  expect(keeper.credential(grant as Grant)).toBeUndefined()
  const again = await keeper.update(GIVEN, (stored) => stored && { ...stored, values: GIVEN.values })
  expect(keeper.credential(again as Grant)?.reveal()).toBe('given')
})

test('what another process changes or takes back is forgotten within a second, and said', async () => {
  const [one, other] = [open(), open()]
  await give(one)
  expect(await other.find(GIVEN)).toMatchObject({ version: 1 })
  await pass(600)
  told.length = 0
  await one.update(GIVEN, (stored) => stored && { ...stored, origins: ['https://elsewhere.example'] })
  await pass(600)
  expect(other.peek(KEY)).toBeUndefined()
  expect(await other.find(GIVEN)).toMatchObject({ origins: ['https://elsewhere.example'] })
  await one.remove(GIVEN)
  expect(one.peek(KEY)).toBeUndefined()
  await pass(600)
  expect(other.peek(KEY)).toBeUndefined()
  expect(await other.find(GIVEN)).toBeUndefined()
  expect(told).toEqual([KEY, KEY, KEY, KEY])
})

test('that there is none is forgotten too, when another process gives it', async () => {
  const [one, other] = [open(), open()]
  await pass(600)
  expect(await other.find(GIVEN)).toBeUndefined()
  await give(one)
  await pass(500)
  expect(await other.find(GIVEN)).toMatchObject({ version: 1 })
})

test('a slow answer does not bring back what was taken back while it travelled', async () => {
  const [one, other] = [open(), open()]
  await give(one)
  await pass(600)
  const slow = Promise.withResolvers<void>()
  memory.slow(slow.promise)
  const reading = other.find(GIVEN)
  await pass(100)
  memory.slow(undefined)
  await one.remove(GIVEN)
  await pass(600)
  slow.resolve()
  expect(await reading).toBeUndefined()
  expect(other.peek(KEY)).toBeUndefined()
})

test('what it was before it was taken back here is not put back by a read that was under way', async () => {
  const keeper = open(false)
  memory.write(GIVEN)
  const slow = Promise.withResolvers<void>()
  memory.slow(slow.promise)
  const reading = keeper.find(GIVEN)
  await pass(100)
  memory.slow(undefined)
  await keeper.remove(GIVEN)
  slow.resolve()
  expect(await reading).toBeUndefined()
  expect(keeper.peek(KEY)).toBeUndefined()
})

test.each(['away', 'silent'] as const)(
  'blind for five seconds, nothing that is in memory is sent: a database that is %s',
  async (how) => {
    const keeper = open()
    await give(keeper)
    await pass(600)
    await keeper.find(GIVEN)
    memory.set(how)
    await pass(4000)
    expect(keeper.peek(KEY)).toBeDefined()
    await pass(1600)
    expect(keeper.peek(KEY)).toBeUndefined()
  },
)

test('one that comes back is followed again, from where it was left', async () => {
  const [one, other] = [open(), open()]
  await give(one)
  await pass(600)
  memory.set('away')
  await pass(6000)
  await expect(other.find(GIVEN)).rejects.toThrow('away')
  memory.set('well')
  await pass(600)
  expect(await other.find(GIVEN)).toMatchObject({ version: 1 })
  await pass(600)
  expect(other.peek(KEY)).toBeDefined()
  memory.write({ ...GIVEN, origins: [] })
  await pass(600)
  expect(other.peek(KEY)).toBeUndefined()
})

test('a process that has missed too much takes nothing for known, also not what was taken back meanwhile', async () => {
  const [one, other] = [open(), open()]
  await give(one)
  await pass(600)
  await other.find(GIVEN)
  await one.remove(GIVEN)
  memory.forgetChanges()
  await pass(600)
  expect(other.peek(KEY)).toBeUndefined()
})

test('a process of its own asks nobody, and is never blind', async () => {
  const keeper = open(false)
  await give(keeper)
  memory.set('silent')
  await pass(20_000)
  expect(keeper.peek(KEY)).toBeDefined()
})

test('a change that another was faster than is made again, on top of that', async () => {
  const keeper = open()
  memory.race(3)
  expect(await give(keeper)).toMatchObject({ version: 1 })
  memory.write({ ...GIVEN, settings: { region: 'north' } })
  const changed = await keeper.update(GIVEN, (stored) => stored && { ...stored, server: 'other' })
  expect(changed).toMatchObject({ version: 3, server: 'other', settings: { region: 'north' } })
})

test('a change that loses every time is a conflict; one that wants nothing is none', async () => {
  const keeper = open()
  memory.race(1000)
  await expect(give(keeper)).rejects.toMatchObject({ code: 'conflict' })
  expect(memory.counts.save).toBe(20)
  expect(await keeper.update(GIVEN, () => undefined)).toBeUndefined()
})

test('more than so many are not in memory: the longest known goes, and is read again', async () => {
  const keeper = open(false, 3)
  const many = ['a', 'b', 'c', 'd'].map((name) => staticGrant({ name: `mcp:${name}` }))
  for (const grant of many) await keeper.update(grant, () => grant)
  expect([...keeper.known()].map(({ name }) => name)).toEqual(['mcp:b', 'mcp:c', 'mcp:d'])
  expect(await keeper.find(many[0] as Grant)).toMatchObject({ name: 'mcp:a' })
  expect([...keeper.known()]).toHaveLength(3)
})

test('one that is held is stored nowhere, and is sent like the others', async () => {
  const keeper = open(false)
  keeper.hold(GIVEN)
  expect(keeper.credential(keeper.peek(KEY) as Grant)?.reveal()).toBe('given')
  expect(await memory.open().find(GIVEN)).toBeUndefined()
  keeper.drop(KEY)
  expect(keeper.peek(KEY)).toBeUndefined()
})
