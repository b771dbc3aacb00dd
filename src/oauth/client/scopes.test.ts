import { expect, test } from 'vitest'
import { chooseScopes, type ScopeSources } from './scopes.ts'

const none: ScopeSources = {
  given: undefined,
  challenged: [],
  resource: [],
  authorizationServer: [],
  before: [],
}

// oxfmt-ignore
test.each<readonly [string, Partial<ScopeSources>, readonly string[]]>([
  ['none where nobody names any', {}, []],
  ['those of the challenge', { challenged: ['a'], resource: ['b'] }, ['a']],
  ['else those of the resource', { resource: ['b', 'c'] }, ['b', 'c']],
  ['never those of the authorization server', { authorizationServer: ['x'] }, []],
  ['a step up: what there was, and the new', { challenged: ['write'], before: ['read'], resource: ['profile'] }, ['read', 'write']],
  ['again: what there was, not what the resource lists', { before: ['read'], resource: ['profile'] }, ['read']],
  ['offline_access where it is listed', { challenged: ['a'], authorizationServer: ['a', 'offline_access'] }, ['a', 'offline_access']],
  ['and nowhere else', { challenged: ['a', 'offline_access'] }, ['a']],
  ['nor alone', { authorizationServer: ['offline_access'] }, []],
  ['what the user says, and nothing besides', { given: ['z'], challenged: ['a'], before: ['b'], authorizationServer: ['offline_access'] }, ['z']],
])('%s', (_, sources, expected) => {
  expect(chooseScopes({ ...none, ...sources })).toEqual(expected)
})
