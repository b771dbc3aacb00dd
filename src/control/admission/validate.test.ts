import { describe, expect, test } from 'vitest'
import { KINDS } from '../../kinds/registry.ts'
import { nearest } from '../../lib/nearest.ts'
import { validateManifest } from './validate.ts'

const server = (spec: unknown, more: object = {}) => ({
  apiVersion: 'castellan/v1',
  kind: 'Server',
  metadata: { name: 'a' },
  spec,
  ...more,
})
const http = (more: object = {}) => server({ transport: 'http', url: 'https://x.example/mcp', ...more })
const stdio = (more: object = {}) => server({ transport: 'stdio', command: 'x', ...more })

const problemsOf = (document: unknown): readonly string[] => {
  const admitted = validateManifest(document)
  return admitted.ok ? [] : admitted.error
}

test.each(KINDS.map((definition) => [definition.kind, definition] as const))(
  'the example of %s is valid',
  (kind, definition) => {
    const metadata = { name: 'example', ...(definition.scope === 'project' ? { project: 'demo' } : {}) }
    expect(problemsOf({ apiVersion: 'castellan/v1', kind, metadata, spec: definition.example })).toEqual([])
  },
)

test.each<[string, unknown, readonly string[]]>([
  ['no mapping', [1], ['a manifest is a mapping with apiVersion, kind, metadata and spec']],
  ['nothing in it', {}, ['apiVersion: must be castellan/v1', 'kind: is required']],
  [
    'no metadata',
    server({ transport: 'stdio', command: 'x' }, { metadata: undefined }),
    ['metadata: is required'],
  ],
  ['a misspelt envelope', { ...stdio(), metdata: {} }, ['metdata: unknown field; did you mean metadata?']],
  [
    'a bad name',
    stdio({}) && server({ transport: 'stdio', command: 'x' }, { metadata: { name: 'A_b' } }),
    ['metadata.name: must be 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit'],
  ],
  [
    'a project for a global kind',
    server({ transport: 'stdio', command: 'x' }, { metadata: { name: 'a', project: 'p' } }),
    ['metadata.project: a Server belongs to no project; leave it out'],
  ],
  ['no transport', server({}), ['spec.transport: is required']],
  ['another transport', server({ transport: 'smtp' }), ['spec.transport: must be one of stdio, http, sse']],
  [
    'a field of the other transport',
    stdio({ url: 'x' }),
    [
      'spec.url: unknown field; here are transport, command, args, env, cwd, mounts, instances, limits, protocol, description, timeouts, tools',
    ],
  ],
  [
    'a field misspelt deep inside',
    stdio({ env: [{ name: 'A', valu: 'x' }] }),
    [
      'spec.env[0].valu: unknown field; did you mean value?',
      'spec.env[0].value: give exactly one of value and valueFrom',
    ],
  ],
  [
    'a wrong type',
    stdio({ args: 'x', timeouts: { callSeconds: '3' } }),
    ['spec.args: must be a list', 'spec.timeouts.callSeconds: must be a number'],
  ],
  [
    'a number out of range',
    stdio({ timeouts: { callSeconds: 0 } }),
    ['spec.timeouts.callSeconds: must be at least 0.1'],
  ],
  [
    'a credential in the open',
    stdio({ env: [{ name: 'API_KEY', value: 'x' }] }),
    [
      'spec.env[0].value: looks like a credential; write valueFrom: {secretRef: {name: <secret>, key: <key>}} instead',
    ],
  ],
  [
    'http for a host elsewhere',
    http({ url: 'http://x.example' }),
    ['spec.url: must be https: for a host that is not loopback'],
  ],
  ['no URL', http({ url: 'nothing' }), ['spec.url: must be a URL with http: or https:']],
  [
    'a header of ours',
    http({ headers: [{ name: 'Mcp-Session-Id', value: 'x' }] }),
    ['spec.headers[0].name: Mcp-Session-Id is set by the gateway'],
  ],
  [
    'the same variable twice',
    stdio({
      env: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    }),
    ['spec.env: A is given twice'],
  ],
  ['half a surrogate pair', stdio({ args: ['\uD800'] }), ['spec.args[0]: is not valid Unicode']],
  ['a NUL', stdio({ args: ['a\0b'] }), ['spec.args[0]: must not hold a NUL character']],
  [
    'a name that is a trap',
    JSON.parse('{"kind":"Server","spec":{"__proto__":{}}}'),
    ['spec: has a field by a name that is not possible'],
  ],
])('%s', (_, document, problems) => {
  expect(problemsOf(document)).toEqual(problems)
})

test('nesting is bounded', () => {
  let deep: unknown = 'x'
  for (let i = 0; i < 10_000; i++) deep = [deep]
  expect(problemsOf(server(deep))).toEqual(['the manifest: is nested too deeply'])
})

test('no problem repeats a value', () => {
  const secret = 's3cr3t-value-1234'
  const documents = [
    stdio({
      env: [{ name: secret, value: secret }],
      args: secret,
      cwd: secret,
      instances: secret,
      [secret]: secret,
    }),
    http({ url: secret, headers: [{ name: 'a b', value: [secret] }], tools: { [secret]: 1 } }),
    server(
      { transport: secret },
      { metadata: { name: `${secret}!`, labels: { [`${secret}!`]: secret } }, [secret]: 1 },
    ),
    { apiVersion: secret, kind: secret },
  ]
  for (const document of documents) {
    const problems = problemsOf(document)
    expect(problems).not.toEqual([])
    expect(problems.join('\n')).not.toContain(secret)
  }
})

describe('nearest', () => {
  test.each([
    ['urll', 'url'],
    ['comand', 'command'],
    ['tiemouts', 'timeouts'],
    ['ARGS', 'args'],
    ['xyzzy', undefined],
    ['u'.repeat(5000), undefined],
  ])('%.20s', (word, meant) => {
    expect(nearest(word, ['url', 'command', 'args', 'timeouts'])).toBe(meant)
  })
})
