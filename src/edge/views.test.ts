import { expect, test } from 'vitest'
import type { EdgeProject } from './project.ts'
import { readEdgeProject } from './project.ts'
import { viewFor, type ViewOptions } from './views.ts'

const server = (name: string, url?: string) => ({
  uid: `srv_${name}`,
  name,
  ...(url === undefined ? { via: 'control' } : { via: 'direct', spec: { transport: 'http', url } }),
})
const read = (...servers: object[]): EdgeProject =>
  readEdgeProject({ uid: 'prj_1', name: 'main', spec: {}, servers }, 'main')!

const OPTIONS: ViewOptions = {
  controlUrl: 'https://control.example.com/castellan',
  mayReach: true,
  caller: 'ada',
  grant: 'caller:token:ada main',
  era: 'modern',
}
const view = (project: EdgeProject, options: Partial<ViewOptions> = {}) =>
  viewFor(project, Object.assign({}, OPTIONS, options)).servers[0]!
const isDirect = (...[project, options]: Parameters<typeof view>): boolean =>
  !view(project, options).uid.includes('@')

test('what needs the control plane is reached through it, as the caller and as nobody else', () => {
  const { uid, spec } = view(read(server('memory')))
  expect(uid).toBe('srv_memory@ada/modern')
  expect(spec).toMatchObject({
    url: 'https://control.example.com/castellan/projects/main/servers/memory/mcp',
    headers: [],
    auth: { grant: 'caller:token:ada main' },
  })
  expect(view(read(server('memory')), { caller: 'bob' }).uid).not.toBe(uid)
  // The control plane is to be the one that says that something took too long.
  expect(spec.timeouts.callSeconds).toBeGreaterThan(300)
})

test('what needs nothing is reached directly, by all on one connection, without a credential', () => {
  const [ada, bob] = ['ada', 'bob'].map((caller) =>
    view(read(server('docs', 'https://docs.example.com/mcp')), { caller }),
  )
  expect(ada?.spec).toMatchObject({ url: 'https://docs.example.com/mcp', headers: [] })
  expect(ada?.spec).not.toHaveProperty('auth')
  expect(ada).toEqual(bob)
  const changed = view(read(server('docs', 'https://docs.example.com/other')))
  expect([changed.uid === ada?.uid, changed.fingerprint === ada?.fingerprint]).toEqual([false, false])
})

test('without a record of its own nothing is reached directly', () => {
  expect(isDirect(read(server('docs', 'https://docs.example.com/mcp')), { mayReach: false })).toBe(false)
})

// oxfmt-ignore
test.each([
  ['http://127.0.0.1:9/mcp',       'https://control.example.com', false],
  ['http://localhost:9/mcp',       'http://10.0.0.1:7411',        false],
  ['http://[::1]:9/mcp',           'https://control.example.com', false],
  ['http://127.0.0.1:9/mcp',       'http://127.0.0.1:7411',       true],
  ['https://docs.example.com/mcp', 'http://127.0.0.1:7411',       true],
])('%s, behind a control plane at %s: directly %s', (url, controlUrl, direct) => {
  expect(isDirect(read(server('docs', url)), { controlUrl })).toBe(direct)
})

test('the control plane is spoken to as the client speaks, everybody else as they are spoken to', () => {
  const [memory, docs] = [read(server('memory')), read(server('docs', 'https://docs.example.com/mcp'))]
  const [modern, legacy] = (['modern', 'legacy'] as const).map((era) => view(memory, { era }))
  expect([modern?.spec, legacy?.spec]).toMatchObject([{ protocol: 'modern' }, { protocol: 'legacy' }])
  expect(modern?.uid).not.toBe(legacy?.uid)
  expect(view(docs, { era: 'legacy' })).toEqual(view(docs))
})
