import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Bearer, bearerIn } from './bearer.ts'
import { createControlPlane } from './control-plane.ts'

const TOKEN = `cst_${'A'.repeat(43)}`

test('is the credential that came, and shows itself nowhere else', () => {
  const bearer = bearerIn(`bearer ${TOKEN}`)
  expect(bearer?.authorization()).toBe(`Bearer ${TOKEN}`)
  expect(bearer?.kind).toBe('token')
  expect(bearerIn(`Bearer css_${'A'.repeat(43)}`)?.kind).toBe('sign-in')
  expect(`${inspect(bearer)} ${JSON.stringify(bearer)}`).not.toContain('AAAA')
})

test.each([
  undefined,
  '',
  'Bearer',
  'Bearer ',
  'Bearer $TOKEN',
  `Basic ${TOKEN}`,
  `Bearer csa_${'A'.repeat(43)}`,
])('%s is none', (header) => expect(bearerIn(header)).toBeUndefined())

test.each(['', 'cst_', `csa_${'A'.repeat(43)}`])(
  'an empty one, or one of another kind, cannot be made: %s',
  (text) => {
    expect(() => new Bearer(text)).toThrow(TypeError)
  },
)

test('a request whose credential cannot be made ends before anything is opened', async () => {
  const control = createControlPlane(new URL('http://127.0.0.1:1'))
  const broken = Object.create(Bearer.prototype) as Bearer
  await expect(control.introspect(broken, undefined)).rejects.toThrow(TypeError)
  await expect(control.project(broken, 'main')).rejects.toThrow(TypeError)
  expect(() => control.watch(broken, undefined, { alive() {}, standing() {}, over() {} })).toThrow(TypeError)
})
