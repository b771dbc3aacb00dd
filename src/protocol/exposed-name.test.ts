import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { distinctName, exposedName, foldedName, serverOf } from './exposed-name.ts'

const long = (tail: string): string => `${'very_long_tool_name_'.repeat(4)}${tail}`

// Digests are part of the contract: clients keep names in their settings, so they may not change with a release.
// oxfmt-ignore
test.each([
  ['a plain name',                    'everything', 'echo',             'everything__echo'],
  ['dots, dashes, underscores, case', 'srv',        'a-b_c.D',          'srv__a-b_c.D'],
  ['a name with the separator in it', 'srv',        'a__b',             'srv__a__b'],
  ['characters that are replaced',    'srv',        'a/b c',            'srv__a_b_c_4545e011'],
  ['letters beyond ASCII',            'srv',        'straße',           'srv__stra_e_6b5c7d23'],
  ['exactly 64 characters',           'srv',        'x'.repeat(59),     `srv__${'x'.repeat(59)}`],
  ['65 characters',                   'srv',        'x'.repeat(60),     `srv__${'x'.repeat(50)}_6f37af70`],
])('%s', (_, server, name, expected) => {
  expect(exposedName(server, name)).toBe(expected)
})

test('names that differ stay different when they are cut or replaced', () => {
  const names = ['a/b', 'a b', 'a_b', 'a.b', 'a-b', 'ä', 'ö', long('1'), long('2'), long('1/')]
  expect(new Set(names.map((name) => exposedName('srv', name))).size).toBe(names.length)
})

test('a-b, a_b and a.b fold into one, as they do in some clients; told apart they do not', () => {
  const names = ['a-b', 'a_b', 'a.b', 'A-B']
  const folds = (name: (server: string, tool: string) => string): number =>
    new Set(names.map((tool) => foldedName(name('srv', tool)))).size
  expect(folds(exposedName)).toBe(1)
  expect(folds(distinctName)).toBe(names.length)
})

test('the server is what stands before the first separator', () => {
  expect(['srv__tool', 'srv__a__b', 'a-1__', '__tool', 'tool', ''].map(serverOf)).toEqual([
    'srv',
    'srv',
    'a-1',
    undefined,
    undefined,
    undefined,
  ])
})

const server = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/)
const tool = fc.string({ unit: 'binary', minLength: 1, maxLength: 120 })

test.each([
  ['as it is', exposedName],
  ['told apart', distinctName],
])(
  'whatever a server calls its tool, %s it fits every known client and leads back to the server',
  (_, name) => {
    fc.assert(
      fc.property(server, tool, (server, tool) => {
        const exposed = name(server, tool)
        expect(exposed).toMatch(/^[A-Za-z0-9_.-]{1,64}$/)
        expect(name(server, tool)).toBe(exposed)
        expect(serverOf(exposed)).toBe(server)
      }),
    )
  },
)
