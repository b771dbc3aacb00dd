import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileFilter, compileGlobs, fitsSomeWith } from './glob.ts'

// oxfmt-ignore
test.each([
  ['a name matches itself',            'a__b',       'a__b',        true],
  ['a name does not match another',    'a__b',       'a__bc',       false],
  ['case matters',                     'A',          'a',           false],
  ['* matches everything',             '*',          'anything',    true],
  ['* matches nothing',                '*',          '',            true],
  ['? matches one character',          'a?c',        'abc',         true],
  ['? does not match none',            'a?c',        'ac',          false],
  ['* at the start',                   '*_delete',   'x_delete',    true],
  ['* at the end',                     'memory__*',  'memory__add', true],
  ['* in the middle',                  'a*c',        'abbbc',       true],
  ['* takes as little as it can',      'a*b*c',      'axbxbxc',     true],
  ['the end must fit',                 'a*c',        'abcd',        false],
  ['** is *',                          'a**b',       'ab',          true],
  ['a dot is a dot',                   'a.b*',       'axb',         false],
  ['brackets are brackets',            '[ab]*',      'a',           false],
  ['a dollar sign is itself',          '$*',         '$x',          true],
])('%s', (_, glob, name, expected) => {
  expect(compileGlobs([glob])(name)).toBe(expected)
})

test('a glob means what the regular expression means that it stands for', () => {
  const glob = fc.stringMatching(/^[ab*?.]{0,8}$/)
  fc.assert(
    fc.property(glob, fc.stringMatching(/^[ab.]{0,10}$/), (glob, name) => {
      const pattern = glob.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')
      expect(compileGlobs([glob])(name)).toBe(new RegExp(`^${pattern}$`).test(name))
    }),
    { numRuns: 2000 },
  )
})

test('a pattern that sends backtracking matchers into exponential time is just a pattern', () => {
  const matches = compileGlobs([`${'*a'.repeat(40)}*b`])
  expect(matches('a'.repeat(500))).toBe(false)
  expect(matches(`${'a'.repeat(500)}b`)).toBe(true)
})

// oxfmt-ignore
test.each([
  ['without lists, everything',          undefined,  [],          'x',    true],
  ['an empty allow list, nothing',       [],         [],          'x',    false],
  ['allowed',                            ['x*'],     [],          'x1',   true],
  ['not allowed',                        ['x*'],     [],          'y',    false],
  ['denied, though allowed',             ['x*'],     ['x1'],      'x1',   false],
  ['denied without an allow list',       undefined,  ['*_rm'],    'a_rm', false],
  ['not denied',                         undefined,  ['*_rm'],    'a_ls', true],
])('a filter: %s', (...row) => {
  const [, allow, deny, name, expected] = row
  expect(compileFilter({ allow, deny })(name)).toBe(expected)
})

// oxfmt-ignore
test.each([
  ['*',         true],
  ['gh__*',     true],
  ['gh__get',   true],
  ['g*',        true],
  ['??__?*',    true],
  ['*__get',    true],
  ['gh_',       false],
  ['ghx__get',  false],
  ['jira__*',   false],
])('%s fits a tool of the server gh: %s', (glob, expected) => {
  expect(fitsSomeWith(glob, 'gh__')).toBe(expected)
})
