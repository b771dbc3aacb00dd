import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rm } from 'node:fs/promises'
import { nameRule, type KindDefinition } from '../../src/kinds/define-kind.ts'
import { KINDS } from '../../src/kinds/registry.ts'
import { isUid, mintUid } from '../../src/lib/id.ts'
import { EVERYTHING, makeHome, openControl, type Control } from './control-harness.ts'

/* Names that nobody should use, in every place where a name can stand: a clear answer, never a bug, never an echo. */

let home: string
let control: Control
beforeAll(async () => {
  home = await makeHome()
  control = await openControl(home)
  expect((await control.call('POST', '/api/v1/apply', EVERYTHING)).status).toBe(200)
})
afterAll(async () => {
  await control.close()
  await rm(home, { recursive: true, force: true })
})

const PLANT = 'pl4nted'
/** Refused for every kind. */
const BAD: readonly (readonly [what: string, name: string])[] = [
  ['nothing', ''],
  ['a slash', `${PLANT}/b`],
  ['a way up', '../../etc/passwd'],
  ['one dot', '.'],
  ['two dots', '..'],
  ['a dot at the end', `${PLANT}.`],
  ['a space', `${PLANT} b`],
  ['a line break', `${PLANT}\nkind: Secret`],
  ['a line break at the end', `${PLANT}\n`],
  ['a tab', `${PLANT}\tb`],
  ['NUL', `${PLANT}\0b`],
  ['an escape sequence', `\u001b[31m${PLANT}`],
  ['a percent', '%2e%2e%2f'],
  ['a backslash', `${PLANT}\\b`],
  ['a quote', `${PLANT}'; DROP TABLE resources; --`],
  ['a colon', `User:${PLANT}`],
  ['a question mark', `${PLANT}?output=yaml`],
  ['a hash', `${PLANT}#b`],
  ['braces', `{{${PLANT}}}`],
  ['a star', '*'],
  ['capitals', PLANT.toUpperCase()],
  ['an underscore first', `_${PLANT}`],
  ['a dash first', `-${PLANT}`],
  ['a dash last', `${PLANT}-`],
  ['letters with marks', `${PLANT}é`],
  ['the same letters, composed otherwise', `${PLANT}e\u0301`],
  ['a letter that looks like another', `pl\u0430nted`],
  ['right to left', `\u202e${PLANT}`],
  ['no width', `${PLANT}\u200b`],
  ['a face', '\u{1F600}'],
  ['half a face', `${PLANT}\ud83d`],
  ['254 characters', 'a'.repeat(254)],
  ['ten thousand', 'a'.repeat(10_000)],
  ['what looks like a uid', mintUid('srv', 0)],
  ['__proto__', '__proto__'],
]
const WRITTEN = KINDS.filter(({ systemMade }) => systemMade !== true)

const manifestOf = ({ kind, scope, example }: KindDefinition, name: string) => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: { name, ...(scope === 'project' ? { project: 'demo' } : {}) },
  spec: example,
})

describe.each(WRITTEN.map((definition) => [definition.plural, definition] as const))(
  'a new one of %s with a name of',
  (plural, definition) => {
    test.each(BAD)('%s', async (_, name) => {
      for (const path of [`/api/v1/${plural}`, '/api/v1/apply']) {
        const { status, text, json } = await control.call('POST', path, manifestOf(definition, name))
        expect([status, json['code']], text).toEqual([400, 'invalid'])
        expect(String(json['problems'])).toContain('metadata.name')
        // Of several documents, those whose names are harmless are called by them.
        const isLabel = path.endsWith('apply') && /^[A-Za-z0-9-]{1,40}$/.test(name)
        if (!isLabel) expect(text.toLowerCase()).not.toContain(PLANT)
      }
    })
  },
)

test('the longest name of each kind is taken, and one character more is not', () => {
  for (const definition of KINDS) {
    const rule = nameRule(definition)
    const longest = Array.from({ length: 300 }, (_, i) => i).findLast(
      (n) => rule.safeParse('a'.repeat(n)).success,
    )
    expect([40, 50, 253], definition.kind).toContain(longest)
    expect(isUid('a'.repeat(longest ?? 0))).toBe(false)
  }
})

describe('an address with a name of', () => {
  test.each(BAD.filter(([, name]) => name !== '' && name.isWellFormed()))('%s', async (_, name) => {
    const encoded = encodeURIComponent(name)
    for (const [method, path] of [
      ['GET', `/api/v1/servers/${encoded}`],
      ['GET', `/api/v1/tokens/${encoded}?project=${encoded}`],
      ['GET', `/api/v1/tokens?project=${encoded}`],
      ['DELETE', `/api/v1/users/${encoded}`],
      ['POST', `/api/v1/projects/demo/servers/${encoded}`],
      ['DELETE', `/api/v1/projects/demo/servers/${encoded}`],
      ['POST', `/api/v1/projects/${encoded}/servers/notes`],
      ['GET', `/api/v1/secrets/${encoded}/values`],
      ['GET', `/api/v1/instances/${encoded}/logs`],
      ['GET', `/api/v1/auth/can-i?verb=view&kind=servers&name=${encoded}&project=${encoded}`],
      ['GET', `/api/v1/auth/rights?subject=${encodeURIComponent(`User:${name}`)}`],
      ['GET', `/api/v1/${encoded}`],
    ] as const) {
      const { status, text, json } = await control.call(method, path)
      expect([200, 400, 403, 404, 405], `${method} ${path}: ${text}`).toContain(status)
      expect(json['code']).not.toBe('internal')
      if (status !== 200) expect(text.toLowerCase(), path).not.toContain(PLANT)
    }
  })
})

describe('a reference to', () => {
  const REFERRING = [
    ['projects', 'Project', (name: string) => ({ servers: [name] })],
    ['groups', 'Group', (name: string) => ({ members: [{ kind: 'User', name }] })],
    [
      'rolebindings',
      'RoleBinding',
      (name: string) => ({
        subjects: [{ kind: 'Token', name, project: name }],
        bindings: [{ role: 'view', resource: 'servers', project: name }],
      }),
    ],
    [
      'servers',
      'Server',
      (name: string) => ({
        transport: 'stdio',
        command: 'x',
        env: [{ name: 'X', valueFrom: { secretRef: { name, key: 'token' } } }],
      }),
    ],
    [
      'templates',
      'Template',
      (name: string) => ({
        parameters: [{ name, default: 'x' }],
        server: { transport: 'stdio', command: `{{${name}}}` },
      }),
    ],
  ] as const
  test.each(BAD)('%s', async (_, name) => {
    for (const [plural, kind, specOf] of REFERRING) {
      // What a parameter of a template is called is nobody's name: capitals are fine there.
      if (kind === 'Template' && /^[A-Za-z][A-Za-z0-9-]{0,39}$/.test(name)) continue
      const manifest = { apiVersion: 'castellan/v1', kind, metadata: { name: 'x' }, spec: specOf(name) }
      const { status, text, json } = await control.call('POST', `/api/v1/${plural}`, manifest)
      expect([status, json['code']], text).toEqual([400, 'invalid'])
      expect(text.toLowerCase()).not.toContain(PLANT)
    }
  })
})
