import { expect, test } from 'vitest'
import { fillTemplate } from '../../kinds/expand-template.ts'
import { Template } from '../../kinds/template.ts'
import { validateManifest } from './validate.ts'

const problemsOf = (spec: unknown): readonly string[] => {
  const admitted = validateManifest({
    apiVersion: 'castellan/v1',
    kind: 'Template',
    metadata: { name: 'x' },
    spec,
  })
  return admitted.ok ? [] : admitted.error
}
const PATH = { name: 'path', example: '/srv' }
const stdio = (more: object) => ({ transport: 'stdio', command: 'x', ...more })

test.each([
  ['the example', Template.example, []],
  ['no parameters', { server: stdio({}) }, []],
  [
    'a placeholder that is no parameter',
    { server: stdio({ args: ['a', '{{path}}'] }) },
    ['spec.server.args[1]: holds a {{placeholder}} that is no parameter of the template'],
  ],
  [
    'a placeholder with spaces in it',
    { parameters: [PATH], server: stdio({ args: ['{{path}}', '{{ path }}'] }) },
    ['spec.server.args[1]: holds a {{placeholder}} that is no parameter of the template'],
  ],
  [
    'a parameter that stands nowhere',
    { parameters: [PATH], server: stdio({}) },
    ['spec.parameters[0]: stands nowhere in spec.server'],
  ],
  [
    'a parameter without a value to check with',
    { parameters: [{ name: 'path' }], server: stdio({ args: ['{{path}}'] }) },
    ['spec.parameters[0]: needs a default or an example'],
  ],
  [
    'one name twice',
    { parameters: [PATH, PATH], server: stdio({ args: ['{{path}}'] }) },
    ['spec.parameters[1].name: is given twice'],
  ],
  [
    'what would not be a Server',
    { parameters: [PATH], server: stdio({ cwd: '{{path}}', argz: [] }) },
    ['spec.server.argz: unknown field; did you mean args?'],
  ],
  [
    'what breaks a rule between fields of a Server',
    {
      parameters: [{ name: 'host', default: 'mcp.example.com' }],
      server: { transport: 'http', url: 'http://{{host}}/' },
    },
    ['spec.server.url: must be https: for a host that is not loopback'],
  ],
  [
    'a parameter that looks like a credential',
    { parameters: [{ name: 'apiKey', example: 'x' }], server: stdio({ args: ['{{apiKey}}'] }) },
    [
      'spec.parameters[0].name: looks like a credential; those come from a Secret, with valueFrom: {secretRef: …}',
    ],
  ],
  [
    'a Secret and a key of it as parameters',
    {
      parameters: [
        { name: 'secret', example: 'x' },
        { name: 'key', default: 'token' },
      ],
      server: stdio({
        env: [{ name: 'API_KEY', valueFrom: { secretRef: { name: '{{secret}}', key: '{{key}}' } } }],
      }),
    },
    [],
  ],
  [
    'a credential as a parameter',
    {
      parameters: [{ name: 'access', example: 'x' }],
      server: stdio({ env: [{ name: 'API_KEY', value: '{{access}}' }] }),
    },
    [
      'spec.server.env[0].value: looks like a credential; write valueFrom: {secretRef: {name: <secret>, key: <key>}} instead',
    ],
  ],
])('%s', (_, spec, problems) => expect(problemsOf(spec)).toEqual(problems))

test('a value replaces text and nothing else', () => {
  const server = { args: ['{{a}}', 'x{{a}}{{b}}'], n: 1, '{{a}}': true, deep: [{ url: '{{b}}' }] }
  const values = new Map([
    ['a', '$& {{b}} "; rm'],
    ['b', ''],
  ])
  expect(fillTemplate(server, values)).toEqual({
    args: ['$& {{b}} "; rm', 'x$& {{b}} "; rm'],
    n: 1,
    '{{a}}': true,
    deep: [{ url: '' }],
  })
})
