import { expect, test } from 'vitest'
import type { KindDefinition, Resource } from '../../kinds/define-kind.ts'
import { findKind } from '../../kinds/registry.ts'
import { renderDescription } from './describe.ts'
import { oneLine } from './format.ts'
import { durationText } from './duration.ts'
import { renderNames, renderTable } from './table.ts'
import { renderYaml } from './yaml.ts'

const kind = (word: string): KindDefinition => findKind(word) as KindDefinition

function resource(
  of: string,
  name: string,
  about: { project?: string; spec: unknown; status: unknown },
): Resource {
  const definition = kind(of)
  return {
    apiVersion: 'castellan/v1',
    kind: of,
    metadata: {
      name,
      ...(about.project === undefined ? {} : { project: about.project }),
      labels: { team: 'blue' },
      annotations: {},
      uid: `${definition.uidPrefix}_01kdxnfmv00000000000000000`,
      generation: 2,
      createdAt: '2026-01-02T03:04:05.000Z',
      updatedAt: '2026-01-03T03:04:05.000Z',
    },
    spec: definition.spec.parse(about.spec),
    status: about.status,
  }
}

const NOTES = resource('Server', 'notes', {
  spec: {
    transport: 'stdio',
    command: 'notes',
    args: ['--dir', '/a b'],
    env: [{ name: 'LANG', value: 'C' }],
  },
  status: {
    phase: 'Failed',
    message: 'the command does not exist\u001B[31m\nsee castellan logs server notes',
  },
})
const KEYS = resource('Secret', 'keys', {
  spec: { data: { b: null, a: null } },
  status: { sizes: { a: 12, b: 3 } },
})
const LAPTOP = resource('Token', 'laptop', {
  project: 'demo',
  spec: { ttl: '30d' },
  status: { prefix: 'cst_abcdef', state: 'active' },
})

test('a table is aligned, and what a server says cannot break out of its cell', () => {
  expect(renderTable(kind('Server'), [NOTES], { wide: false })).toBe(
    'NAME    TRANSPORT   PHASE    TOOLS   MESSAGE\n' +
      'notes   stdio       Failed   -       the command does not exist see castellan logs server notes\n',
  )
  expect(renderTable(kind('Server'), [NOTES], { wide: true })).toContain('notes --dir /a b')
})

test('of values that are kept elsewhere it says where, and how each of them is', () => {
  const keys = {
    a: { state: 'ready', lookedAt: '2026-01-02T03:04:05.000Z' },
    b: { state: 'absent', lookedAt: '2026-01-02T03:04:05.000Z', message: 'there is no such file' },
  }
  const elsewhere = resource('Secret', 'keys', {
    spec: { backend: 'file', refs: { a: '/run/secrets/a', b: 'b' } },
    status: { sizes: { a: 12 }, keys, daemon: 'host/1' },
  })
  const described = renderDescription(elsewhere, { usedBy: [] })
  for (const line of [
    /backend: +file/,
    /a: +\/run\/secrets\/a/,
    /a: +12/,
    /message: +there is no such file/,
    /daemon: +host\/1/,
  ])
    expect(described).toMatch(line)
  expect(renderTable(kind('Secret'), [elsewhere], { wide: false })).toMatch(/keys +a,b +file +b absent/)
})

test('without resources a table has its headings, and names are empty', () => {
  expect(renderTable(kind('Secret'), [], { wide: false })).toBe('NAME   KEYS   BACKEND   STATE   UPDATED\n')
  expect(renderNames(kind('Secret'), [])).toBe('')
  expect(renderNames(kind('Server'), [NOTES])).toBe('server/notes\n')
})

test('describe shows names and sizes, never a uid', () => {
  const texts = [NOTES, KEYS, LAPTOP].map((each) => renderDescription(each, { usedBy: ['Project/demo'] }))
  expect(texts).toMatchSnapshot()
  for (const text of texts) expect(text).not.toMatch(/[a-z]{3}_[0-9a-z]{26}/)
})

test('several resources are several YAML documents', async () => {
  const yaml = await renderYaml([KEYS, LAPTOP])
  expect(yaml.split('---\n')).toHaveLength(2)
  expect(yaml).toContain('    a: null\n')
})

test.each([
  ['a\u202Eb', 'ab'],
  ['a\r\nb\tc', 'a b c'],
  ['\u001B]0;title\u0007x', 'x'],
])('one line of %j', (text, line) => expect(oneLine(text)).toBe(line))

test.each([
  [0, '0s'],
  [65, '1m 5s'],
  [90_061, '1d 1h'],
])('%d seconds', (seconds, text) => expect(durationText(seconds)).toBe(text))
