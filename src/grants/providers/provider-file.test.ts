import { expect, test } from 'vitest'
import { readProviderFile } from './provider-file.ts'

const GOOD = `name: acme
title: Acme
description: What Acme does.
aliases: [acme-api]
hosts:
  - api.acme.example
  - "*.acme.example"
inject:
  header: X-Acme-Key
  prefix: "key "
source_env: [ACME_KEY]
container_env: ACME_KEY
validate:
  url: https://api.acme.example/me
  method: POST
  header: X-Other
  body: "{}"
  invalid: [401, 403]
prompt: Key of Acme
`

test('a file becomes a provider', async () => {
  const read = await readProviderFile(GOOD, 'acme.yaml')
  expect(read).toMatchObject({
    ok: true,
    value: {
      id: 'acme',
      title: 'Acme',
      aliases: ['acme-api'],
      from: 'file',
      fields: [{ name: 'token', prompt: 'Key of Acme', secret: true, optional: false }],
      origins: ['https://api.acme.example', 'https://*.acme.example'],
      injections: [{ place: { in: 'header', header: 'X-Acme-Key', prefix: 'key ' } }],
      sources: [{ kind: 'env', names: ['ACME_KEY'] }, { kind: 'prompt' }],
      sees: [{ as: 'variable', name: 'ACME_KEY' }],
      validations: [
        { method: 'POST', place: { header: 'X-Other', prefix: '' }, valid: [200], invalid: [401, 403] },
      ],
    },
  })
})

test('the least that a file can say, in JSON', async () => {
  const text = '{"name":"acme","description":"d","hosts":["acme.example"],"inject":{"segment":"bot"}}'
  const read = await readProviderFile(text, 'acme.yaml')
  expect(read).toMatchObject({
    ok: true,
    value: { title: 'acme', injections: [{ place: { in: 'segment', prefix: 'bot' } }] },
  })
})

/** Each: what is put in place of what, and what is said of it. */
const BAD: readonly (readonly [string, string, string])[] = [
  ['prompt: Key', 'promt: Key', 'acme.yaml:19:1: field promt is unknown; did you mean prompt?'],
  [
    'header: X-Acme-Key',
    'heder: X-Acme-Key',
    'acme.yaml:9:3: field inject.heder is unknown; did you mean header?',
  ],
  ['name: acme', 'name: Acme Inc', 'acme.yaml:1:7: name must be lowercase letters'],
  ['name: acme', 'name: 7', 'acme.yaml:1:7: name must be text; put it into quotes'],
  ['name: acme', 'name:', 'acme.yaml:1:6: name must be text'],
  ['description: What', 'x_y: What', 'acme.yaml:1:1: description is required'],
  ['[acme-api]', 'acme-api', 'acme.yaml:4:10: aliases must be a list'],
  ['[acme-api]', '[acme]', 'acme.yaml:1:1: aliases must differ'],
  ['- api.acme.example', '- https://api.acme.example', 'acme.yaml:6:5: hosts[0] must be a host name'],
  ['"*.acme.example"', '"*.example"', 'acme.yaml:7:5: hosts[1] must be a host name'],
  ['- api.acme.example', '- 169.254.169.254', 'acme.yaml:6:5: hosts[0] must be a host name'],
  ['X-Acme-Key', 'Host', 'acme.yaml:9:11: inject.header must not be a header of the connection'],
  ['X-Acme-Key', 'Transfer-Encoding', 'acme.yaml:9:11: inject.header must not be'],
  ['X-Acme-Key', '"X\\r\\nY"', 'acme.yaml:9:11: inject.header must be the name of an HTTP header'],
  ['"key "', '"key\\r\\n"', 'acme.yaml:10:11: inject.prefix must be at most 64 printable'],
  ['prefix: "key "', 'segment: bot', 'acme.yaml:1:1: inject needs either a header or a segment'],
  ['[ACME_KEY]', '[CASTELLAN_KEY]', 'acme.yaml:11:14: source_env[0] must not begin with CASTELLAN_'],
  ['ACME_KEY\nval', 'A-B\nval', 'acme.yaml:12:16: container_env must be the name of a variable'],
  [
    'https://api.acme.example/me',
    'http://api.acme.example/me',
    'acme.yaml:14:8: validate.url must be a URL with https:',
  ],
  [
    'https://api.acme.example/me',
    'https://evil.example/me',
    'acme.yaml:1:1: validate.url must be at one of the hosts',
  ],
  [
    'https://api.acme.example/me',
    'https://api.acme.example:8443/me',
    'acme.yaml:1:1: validate.url must be at one',
  ],
  [
    'https://api.acme.example/me',
    'https://a:b@api.acme.example/',
    'acme.yaml:14:8: validate.url must be a URL without',
  ],
  [
    'https://api.acme.example/me',
    'https://api.acme.example/{segment}',
    'acme.yaml:1:1: validate.url needs {segment}',
  ],
  ['method: POST', 'method: GET', 'acme.yaml:1:1: validate.body needs validate.method POST'],
  ['method: POST', 'method: DELETE', 'acme.yaml:15:11: validate.method must be'],
  ['[401, 403]', '[99]', 'acme.yaml:18:13: validate.invalid[0] must be an HTTP status'],
  ['name: acme', 'name: &a acme', 'acme.yaml:1:10: name must be written out'],
  ['name: acme', 'name: !!str acme', 'acme.yaml:1:13: name must be written out'],
  ['name: acme', 'name: !secret acme', 'acme.yaml:1:7: tags are not taken here'],
  ['title: Acme', 'name: other', 'acme.yaml:2:1: the same field is given twice'],
  ['title: Acme', '---', 'acme.yaml:2:1: a file holds one document'],
  ['title: Acme', '\ttitle: Acme', 'acme.yaml:2:1: indent with spaces'],
  ['title: Acme', 'title: "Acme', 'acme.yaml:'],
]

test.each(BAD)('%s → %s', async (good, bad, sentence) => {
  expect(GOOD).toContain(good)
  const read = await readProviderFile(
    GOOD.replace(good, () => bad),
    'acme.yaml',
  )
  expect(read.ok ? [] : read.error.problems.filter((problem) => problem.startsWith(sentence))).toHaveLength(1)
})

test('all problems at once, and none repeats a value', async () => {
  const secret = 'ghp_0123456789canary'
  const text = GOOD.replace('X-Acme-Key', `"${secret} x"`)
    .replace('Key of Acme', `[${secret}]`)
    .replace('title: Acme', `${secret}: 1`)
    .replace('https://api.acme.example/me', `"${secret}"`)
  const read = await readProviderFile(text, 'acme.yaml')
  const problems = read.ok ? [] : read.error.problems
  expect(problems).toHaveLength(4)
  expect(problems.join()).not.toContain(secret)
  expect(problems[0]).toBe(
    'acme.yaml:2:1: a field is unknown; here are name, title, description, aliases, hosts, inject, source_env, container_env, validate, prompt',
  )
})

test.each([
  ['', 'acme.yaml:1:1: must be a mapping of fields'],
  ['- a', 'acme.yaml:1:1: must be a mapping of fields'],
  ['just text', 'acme.yaml:1:1: must be a mapping of fields'],
  ['['.repeat(60_000), ': is nested too deeply'],
  ['__proto__: {}', 'acme.yaml:1:1: field __proto__ is unknown'],
])('no provider at all: %#', async (text, sentence) => {
  const read = await readProviderFile(text, 'acme.yaml')
  expect(!read.ok && read.error.problems[0]).toContain(sentence)
})

test('a file of nonsense ends with twenty problems', async () => {
  const text = Array.from(
    { length: 500 },
    (_, i) => `f${'a'.repeat((i % 20) + 1)}${'b'.repeat(i / 20)}: 1`,
  ).join('\n')
  const read = await readProviderFile(text, 'acme.yaml')
  expect(!read.ok && read.error.problems).toHaveLength(20)
})
