import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rm } from 'node:fs/promises'
import { KINDS } from '../../src/kinds/registry.ts'
import { makeHome, openControl, type Control } from './control-harness.ts'

/*
 * `get -o yaml | apply -f -` changes nothing, for every kind, whatever the manifest was. The specs are generated
 * within the rules of their kinds, with text that YAML has trouble with.
 */

let home: string
let control: Control
beforeAll(async () => {
  home = await makeHome()
  control = await openControl(home)
  const base = (kind: string, spec: unknown) => ({
    apiVersion: 'castellan/v1',
    kind,
    metadata: { name: 'base' },
    spec,
  })
  const items = [
    base('Secret', { data: { token: 'x' } }),
    base('Server', { transport: 'stdio', command: 'x' }),
    base('Project', {}),
    base('User', {}),
  ]
  expect((await control.call('POST', '/api/v1/apply', { kind: 'List', items })).status).toBe(200)
})
afterAll(async () => {
  await control.close()
  await rm(home, { recursive: true, force: true })
})

const HARD = [
  '',
  ' ',
  'null',
  '~',
  'yes',
  '0x1F',
  '1e3',
  '-',
  '- a',
  ': ',
  '#no',
  '"',
  "'",
  '\\',
  '\t',
  '\r',
  '\r\n',
  'a\n',
  '\n\n a\n',
  '---',
  '...',
  '\u0085',
  '\u2028',
  '\uFEFF',
  '\u0007',
  '{{x}}',
  '*a',
  '&a',
  '!!x',
  '%a',
  '2020-01-01',
  '<<',
  '\u{1F600}',
  'é',
]
const anyText = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.constantFrom(...HARD),
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.array(fc.constantFrom(...HARD), { maxLength: 4 }).map((parts) => parts.join('')),
    )
    .filter((text) => text.length <= maxLength && text.isWellFormed() && !text.includes('\0'))
const someText = (maxLength: number) => anyText(maxLength).filter((text) => text.length > 0)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/)
const labels = fc.dictionary(
  fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,8}[A-Za-z0-9])?$/),
  anyText(50),
  { maxKeys: 4 },
)
const filter = fc.record({
  allow: optional(fc.array(someText(20), { maxLength: 3 })),
  deny: fc.array(someText(20), { maxLength: 3 }),
})
const common = { description: optional(anyText(100)), tools: filter }
const variable = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,10}$/).map((text) => `${text}X`)
const ref = fc.record({
  secretRef: fc.constant({ name: 'base', key: 'token' }),
  prefix: optional(anyText(20)),
})
const entries = (names: fc.Arbitrary<string>) =>
  fc.uniqueArray(
    fc.oneof(fc.record({ name: names, value: anyText(100) }), fc.record({ name: names, valueFrom: ref })),
    { maxLength: 4, selector: (entry) => entry.name.toLowerCase() },
  )

const person = fc.stringMatching(/^[a-z0-9]([a-z0-9._@+-]{0,20}[a-z0-9])?$/)
const parameter = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}X$/)
const placeholderOf = (one: { readonly name: string }): string => `{{${one.name}}}`
const binding = fc.oneof(
  fc.record({
    role: fc.constantFrom('view', 'create', 'edit', 'delete', 'run'),
    resource: fc.constantFrom('servers', 'tools', 'tokens', '*'),
    name: optional(fc.stringMatching(/^[\x21-\x7e]{1,20}$/)),
    project: optional(fc.constant('base')),
  }),
  fc.record({ role: fc.constant('run'), action: fc.constantFrom('logs', 'backup', '*') }),
)

const secretKey = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,10}$/)

const SPECS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  Secret: fc.oneof(
    fc.record({ data: fc.dictionary(secretKey, someText(200), { maxKeys: 4 }) }),
    fc.record({
      backend: fc.constant('encrypted'),
      data: fc.dictionary(secretKey, someText(20), { maxKeys: 2 }),
    }),
    fc.record({
      backend: fc.constant('env'),
      refs: fc.dictionary(secretKey, fc.stringMatching(/^CASTELLAN_SECRET_[A-Za-z0-9_]{1,20}$/), {
        maxKeys: 4,
      }),
    }),
  ),
  Server: fc.oneof(
    fc.record({
      transport: fc.constant('stdio'),
      command: someText(50),
      args: fc.array(anyText(50), { maxLength: 4 }),
      env: entries(variable),
      instances: fc.constantFrom('shared', 'per-principal', 'per-session'),
      ...common,
    }),
    fc.record({
      transport: fc.constant('http'),
      url: fc.constantFrom('https://mcp.example.com/mcp', 'http://127.0.0.1:1/a?b=c'),
      headers: entries(fc.stringMatching(/^X-[A-Za-z]{1,8}Z$/)),
      timeouts: fc.record({ callSeconds: fc.double({ min: 0.1, max: 86_400, noNaN: true }) }),
      ...common,
    }),
  ),
  Project: fc.record({
    description: optional(anyText(100)),
    servers: fc.constantFrom([], ['base']),
    tools: filter,
    instructions: optional(anyText(500)),
  }),
  Token: fc.record({
    description: optional(anyText(100)),
    ttl: fc.constantFrom('never', '30d', '2999-12-31'),
    owner: optional(fc.constant({ kind: 'User', name: 'base' })),
    bindings: optional(fc.array(binding, { maxLength: 3 })),
    revoked: fc.boolean(),
  }),
  Template: fc
    .record({
      description: optional(anyText(100)),
      parameters: fc.uniqueArray(fc.record({ name: parameter, default: anyText(50) }), {
        maxLength: 3,
        selector: (one) => one.name,
      }),
      args: fc.array(anyText(50), { maxLength: 3 }),
    })
    .map(({ args, description, parameters }) => {
      const texts = [...args.filter((arg) => !arg.includes('{{')), ...parameters.map(placeholderOf)]
      return { description, parameters, server: { transport: 'stdio', command: 'x', args: texts } }
    }),
  User: fc.record({
    displayName: optional(anyText(100)),
    email: optional(anyText(100)),
    disabled: fc.boolean(),
  }),
  ServiceAccount: fc.record({ description: optional(anyText(100)), disabled: fc.boolean() }),
  Group: fc.record({
    description: optional(anyText(100)),
    members: fc.uniqueArray(fc.record({ kind: fc.constantFrom('User', 'ServiceAccount'), name: person }), {
      maxLength: 4,
      selector: (one) => `${one.kind} ${one.name}`,
    }),
    claims: fc.array(someText(50), { maxLength: 3 }),
  }),
  RoleBinding: fc.record({
    subjects: fc.uniqueArray(fc.record({ kind: fc.constantFrom('User', 'Group'), name: person }), {
      minLength: 1,
      maxLength: 4,
      selector: (one) => `${one.kind} ${one.name}`,
    }),
    bindings: fc.array(binding, { minLength: 1, maxLength: 4 }),
  }),
  IdentityProvider: fc.record({
    issuer: fc.constantFrom('https://login.example.com', 'http://127.0.0.1:1/a'),
    clientId: someText(50),
    clientSecret: optional(fc.constant({ secretRef: { name: 'base', key: 'token' } })),
    users: fc.constantFrom('create', 'existing'),
    domains: fc.constantFrom([], ['example.com']),
  }),
}

test('there is a generator for every kind that people write', () => {
  const written = KINDS.filter(({ systemMade }) => systemMade !== true).map(({ kind }) => kind)
  expect(new Set(Object.keys(SPECS))).toEqual(new Set(written))
})

test.each(Object.keys(SPECS))('%s', (kind) =>
  fc.assert(
    fc.asyncProperty(name, labels, labels, SPECS[kind] ?? fc.constant({}), async (text, own, notes, spec) => {
      const metadata = {
        name: `a${text}`.slice(0, 40),
        labels: own,
        annotations: notes,
        ...(kind === 'Token' ? { project: 'base' } : {}),
      }
      const word = `${kind.toLowerCase()}s`
      const created = await control.call('POST', `/api/v1/${word}`, {
        apiVersion: 'castellan/v1',
        kind,
        metadata,
        spec,
      })
      expect(created.status, created.text).toBe(201)
      const path = `/api/v1/${word}/${metadata.name}`
      const yaml = (await control.call('GET', `${path}?output=yaml`)).text
      const again = await control.call('POST', '/api/v1/apply', yaml)
      expect(
        again.json.results?.map(({ action }) => action),
        `${again.text}\n${yaml}`,
      ).toEqual(['unchanged'])
      expect((await control.call('DELETE', path)).status).toBe(200)
    }),
    { numRuns: 60 },
  ),
)
