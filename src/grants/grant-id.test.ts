import { expect, test } from 'vitest'
import { staticGrant, oauthGrant } from '../../test/fixtures/grant-memory.ts'
import { grantName, isProfile, readGrantId } from './grant-id.ts'
import { keyOf } from './grant.ts'
import { isPerson, mendCommand } from './mend.ts'

// oxfmt-ignore
test.each([
  ['github',                      'github'],
  ['mcp:context7',                'mcp:context7'],
  ['mcp-context7',                'mcp:context7'],
  ['mcp-a-b.c_d',                 'mcp:a-b.c_d'],
  ['oauth:notion',                'oauth:notion'],
  ['npm:registry.example.com',    'npm:registry.example.com'],
  ['mcp-',                        'mcp-'],
  ['GitHub',                      undefined],
  ['mcp:',                        undefined],
  ['mcp:a:b',                     undefined],
  ['mcp:a/b',                     undefined],
  ['mcp:../a',                    undefined],
  ['mcp:-a',                      undefined],
  ['mcp:a-',                      undefined],
  ['mcp:A',                       undefined],
  ['mcp:a b',                     undefined],
  ['mcp:a\n',                     undefined],
  ['1password',                   undefined],
  ['@sign-in',                    undefined],
  ['',                            undefined],
  [`mcp:${'a'.repeat(253)}`,      `mcp:${'a'.repeat(253)}`],
  [`mcp:${'a'.repeat(254)}`,      undefined],
  ['a'.repeat(41),                undefined],
])('%j is the name %j', (text, name) => {
  expect(grantName(text)).toBe(name)
})

test('a name is read as its provider and which one of it', () => {
  expect(readGrantId('github')).toEqual({ provider: 'github', qualifier: undefined })
  expect(readGrantId('npm:registry.example.com')).toEqual({
    provider: 'npm',
    qualifier: 'registry.example.com',
  })
})

// oxfmt-ignore
test.each([
  ['default', true], ['work', true], ['Work-2_b', true], ['a'.repeat(40), true],
  ['', false], ['-a', false], ['a/b', false], ['a b', false], ['a'.repeat(41), false], ['..', false],
])('the profile %j: %s', (text, good) => {
  expect(isProfile(text)).toBe(good)
})

test('no two grants have one key', () => {
  const keys = [
    { profile: 'default', holder: '', name: 'mcp:a' },
    { profile: 'default', holder: 'user:a', name: 'mcp:a' },
    { profile: 'work', holder: '', name: 'mcp:a' },
  ].map(keyOf)
  expect(keys).toEqual(['default//mcp:a', 'default/user:a/mcp:a', 'work//mcp:a'])
})

// oxfmt-ignore
test.each([
  [{ name: 'mcp:notes' },                                     'notes',   'castellan grant mcp notes --server notes'],
  [{ name: 'mcp:notes', profile: 'work' },                    'notes',   'castellan grant mcp notes --server notes --profile work'],
  [{ name: 'mcp:notes', holder: 'project:prj_1' },            'notes',   'castellan grant mcp notes --server notes --project NAME'],
  [{ name: 'mcp:notes', holder: 'service-account:sac_1' },    'notes',   'castellan grant mcp notes --server notes --service-account NAME'],
  [{ name: 'mcp:notes', holder: 'user:usr_1' },               'notes',   'castellan grant connect notes'],
  [{ name: 'mcp:notes', holder: 'local-admin' },              'notes',   'castellan grant connect notes'],
  [{ name: 'github' },                                        'notes',   'castellan grant github'],
  [{ name: 'npm:registry.example.com' },                      undefined, 'castellan grant npm --host registry.example.com'],
  [{ name: '@sign-in', holder: 'user:usr_1' },                undefined, 'castellan login'],
])('%o at %s is mended with: %s', (key, server, command) => {
  expect(mendCommand(staticGrant(key), server)).toBe(command)
})

test('what was authorized for an address alone is mended with that address', () => {
  expect(mendCommand(oauthGrant(0), undefined)).toBe(
    'castellan grant oauth notes --url https://notes.example/mcp',
  )
})

test('people connect accounts of their own; projects and bots do not', () => {
  const holders = ['user:usr_1', 'local-admin', 'service-account:sac_1', 'project:prj_1', '']
  expect(holders.map((holder) => isPerson({ holder }))).toEqual([true, true, false, false, false])
})
