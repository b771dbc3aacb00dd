import { expect, test } from 'vitest'
import { parseManifests } from './parse-manifests.ts'

test('several documents and Lists, numbered as the user sees them', async () => {
  const text = 'kind: A\n---\nkind: List\nitems: [{kind: B}, {kind: C}]\n---\n# nothing\n---\nkind: D\n'
  expect(await parseManifests(text, 'yaml')).toEqual([
    { where: 'document 1', value: { kind: 'A' } },
    { where: 'document 2, item 1', value: { kind: 'B' } },
    { where: 'document 2, item 2', value: { kind: 'C' } },
    { where: 'document 4', value: { kind: 'D' } },
  ])
  expect(await parseManifests('{"kind":"ServerList","items":[{}]}', 'json')).toHaveLength(1)
})

test('YAML 1.2: words that older readers take for booleans and dates are text', async () => {
  const [document] = await parseManifests('a: yes\nb: 2020-01-01\nc: 0o17\nd: <<', 'yaml')
  expect(document?.value).toEqual({ a: 'yes', b: '2020-01-01', c: 15, d: '<<' })
})

test.each([
  ['the same field twice', 'a: 1\na: 2', 'document 1, line 2, column 1: the same field is given twice'],
  ['a tab', 'a:\n\tb: 1', 'document 1, line 2, column 1: indent with spaces, not with a tab'],
  ['a tag', 'a: !secret hush', 'document 1, line 1, column 4: tags are not taken here'],
  [
    'a quote that does not end',
    'a: 1\n---\nb: "hush',
    'document 2, line 3, column 9: a character such as a quote, bracket or colon is missing',
  ],
  [
    'an alias to nothing',
    'a: *hush',
    'the YAML is nested too deeply, or uses aliases in a way that is not taken here',
  ],
  ['List without items', 'kind: List', 'document 1: items: must be a list'],
])('%s', async (_, text, problem) => {
  const refused = await parseManifests(text, 'yaml').catch((fault: unknown) => fault)
  expect(refused).toMatchObject({ code: 'invalid', problems: [problem] })
  expect(JSON.stringify(refused)).not.toContain('hush')
})

test('JSON that is none is refused without being shown', async () => {
  const refused = await parseManifests('{"a": hush}', 'json').catch((fault: unknown) => fault)
  expect(refused).toMatchObject({ code: 'not_json' })
  expect(JSON.stringify(refused)).not.toContain('hush')
})
