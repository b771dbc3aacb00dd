import { expect, test } from 'vitest'
import type { Grant } from '../../grants/grant.ts'
import type { ServerSpec } from '../../kinds/server.ts'
import { systemClock } from '../../lib/clock.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { createConnectDesk } from './desk.ts'
import { createTickets } from './ticket.ts'

const ADA = { server: 'notes', holder: 'user:usr_1' }
const SPEC = { transport: 'http', url: 'https://n.example/mcp', auth: { grant: 'mcp:notes' } } as ServerSpec

/** A grant of hers, as far as the desk looks at one. */
const given = {
  trouble: undefined,
  oauth: undefined,
  values: { token: { open: () => new SecretValue('x') } },
} as unknown as Grant

function openDesk() {
  let looks = 0
  let grant: Grant | undefined
  let now = 0
  const clock = { nowMs: () => now, tickMs: () => now }
  const desk = createConnectDesk({
    grants: {
      stored: () => {
        looks++
        return Promise.resolve(grant)
      },
    },
    server: (name) => (name === 'notes' ? SPEC : undefined),
    tickets: createTickets(Buffer.alloc(32, 7), systemClock),
    clock,
    origin: () => 'http://127.0.0.1:1',
  })
  return {
    desk,
    looks: () => looks,
    give: () => void (grant = given),
    pass: (ms: number) => void (now += ms),
  }
}

test('people get a link, and whoever asks again gets the same for a while; others get none', async () => {
  const { desk, pass } = openDesk()
  const first = await desk.link(ADA)
  expect(first?.url).toMatch(/^http:\/\/127\.0\.0\.1:1\/connect\/cco1\./)
  expect(await desk.link(ADA)).toEqual(first)
  expect(await desk.link({ server: 'notes', holder: 'user:usr_2' })).not.toEqual(first)
  pass(3 * 60_000)
  expect(await desk.link(ADA)).not.toEqual(first)
  for (const holder of ['service-account:sva_1', 'project:prj_1', 'nobody', ''])
    expect(await desk.link({ server: 'notes', holder })).toBeUndefined()
  expect(await desk.link({ server: 'other', holder: ADA.holder })).toBeUndefined()
})

test('whoever waits is told as soon as it is connected, and looks no oftener than it is told', async () => {
  const { desk, give, looks } = openDesk()
  const [hers, also] = [desk.connected(ADA, 60_000), desk.connected(ADA, 60_000)]
  desk.changed('notes', 'user:usr_2')
  desk.changed('notes', ADA.holder)
  await Promise.resolve()
  give()
  desk.changed('notes', ADA.holder)
  expect(await Promise.all([hers, also])).toEqual([true, true])
  expect(looks()).toBeLessThanOrEqual(6)
  expect(await desk.connected(ADA, 0)).toBe(true)
})

test('a wait ends', async () => {
  const { desk } = openDesk()
  expect(await desk.connected(ADA, 0)).toBe(false)
  expect(await desk.connected({ server: 'other', holder: ADA.holder }, 0)).toBe(false)
})
