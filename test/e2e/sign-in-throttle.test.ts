import { expect, test } from 'vitest'
import { withControl, type Control } from './control-harness.ts'

const PASSWORD = 'correct horse battery staple'

const tryFrom = ({ api }: Control, source: string, user: string, password: string): Promise<Response> =>
  api.fetch(
    new Request('http://127.0.0.1/api/v1/auth/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, password }),
    }),
    { source },
  )

test('ten thousand wrong passwords: most are told when to come again, and the right one from elsewhere is taken', async () => {
  await withControl(async (control) => {
    await control.call('POST', '/api/v1/users', {
      apiVersion: 'castellan/v1',
      kind: 'User',
      metadata: { name: 'ada' },
      spec: {},
    })
    const set = await control.call('POST', '/api/v1/users/ada/password', { password: PASSWORD })
    expect(set.status).toBe(200)
    const counts = new Map<number, number>()
    for (let i = 0; i < 10_000; i += 50) {
      const some = Array.from({ length: 50 }, (_, j) =>
        tryFrom(control, '198.51.100.7', i % 100 === 0 ? 'ada' : `user-${i + j}`, `wrong password ${i + j}`),
      )
      for (const { status, headers } of await Promise.all(some)) {
        counts.set(status, (counts.get(status) ?? 0) + 1)
        if (status === 429) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      }
    }
    expect(new Set(counts.keys())).toEqual(new Set([401, 429]))
    // At most the burst of a source, and one for each second that this has taken.
    expect(counts.get(401)).toBeLessThan(1000)
    const there = await tryFrom(control, '198.51.100.7', 'ada', PASSWORD)
    expect(there.status).toBe(429)
    const elsewhere = await tryFrom(control, '203.0.113.9', 'ada', PASSWORD)
    expect(elsewhere.status).toBe(200)
    const refusals = control.entries.filter(({ type }) => type === 'refusals')
    expect(refusals.length).toBeGreaterThan(9000)
    expect(JSON.stringify(refusals)).not.toContain('ada')
  })
})
