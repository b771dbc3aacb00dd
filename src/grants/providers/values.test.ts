import { describe, expect, test } from 'vitest'
import { BUILT_IN } from './registry.ts'
import type { Provider } from './define-provider.ts'
import { mintStub } from './stub.ts'
import { readQualifier, readValues } from './values.ts'

const provider = (id: string): Provider => {
  const found = BUILT_IN.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`there is no ${id}`)
  return found
}
const problemsOf = (id: string, given: Record<string, unknown>, force = false): readonly string[] => {
  const read = readValues(provider(id), given, { force })
  return read.ok ? [] : read.error
}

const GITHUB = `ghp_${'a1B2'.repeat(9)}`
const ROLE = 'arn:aws:iam::123456789012:role/deploy'
const KEY = `SHA256:${'a'.repeat(43)}`

describe('values', () => {
  test.each<[string, Record<string, string>]>([
    ['github', { token: GITHUB }],
    ['github', { token: `github_pat_${'1A'.repeat(40)}` }],
    ['github', { token: `ghs_${'x'.repeat(30)}.${'y'.repeat(40)}` }],
    ['claude', { token: `sk-ant-oat01-${'x'.repeat(90)}`, refreshToken: `sk-ant-ort01-${'x'.repeat(90)}` }],
    ['anthropic', { token: `sk-ant-api03-${'x'.repeat(90)}` }],
    ['openai', { token: `sk-proj-${'x'.repeat(90)}` }],
    ['gemini', { key: 'AIzaSyExample' }],
    ['gemini', { token: 'ya29.example', refreshToken: '1//example' }],
    ['meta', { token: 'EAAexample', appId: '1234567890', appSecret: 'abcdef' }],
    ['telegram', { token: `123456789:${'A'.repeat(35)}` }],
    ['ssh', { key: KEY }],
    ['aws', { role: ROLE }],
    [
      'aws',
      {
        role: ROLE,
        region: 'us-gov-west-1',
        sessionDuration: '1h',
        externalId: 'a/b:c',
        awsProfile: 'my profile',
      },
    ],
  ])('of %s are taken', (id, given) => {
    expect(problemsOf(id, given)).toEqual([])
  })

  test('that are secret come out as secrets, the others as text', () => {
    const read = readValues(provider('meta'), { token: 'EAAexample', appId: '1234567890' })
    expect(read.ok && Object.keys(read.value.secret)).toEqual(['token'])
    expect(read.ok && read.value.secret['token']?.reveal()).toBe('EAAexample')
    expect(read.ok && read.value.shown).toEqual({ appId: '1234567890' })
  })

  const BAD = 'canary-7f3a'
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['github', {}, /^token: is required$/],
    ['github', { token: '' }, /^token: is empty$/],
    ['github', { token: 7 }, /^token: must be text$/],
    ['github', { token: BAD }, /^token: is no GitHub token/],
    ['github', { token: `Bearer ${BAD}` }, /without the word before it/],
    ['github', { token: `${BAD}\r\nX-Other: 1` }, /a line break/],
    ['github', { token: `${BAD}\u0000` }, /a line break or another character/],
    ['github', { token: `${BAD}\u00e9` }, /another character/],
    ['github', { token: BAD.repeat(2000) }, /longer than 16 KiB/],
    ['github', { token: GITHUB, [BAD]: 'x' }, /^unknown field; here are token$/],
    ['github', { token: GITHUB, tokn: GITHUB }, /did you mean token\?/],
    ['github', { token: mintStub({ prefix: 'ghp_', length: 40, alphabet: 'alphanumeric' }) }, /a stand-in/],
    ['anthropic', { token: `sk-ant-oat01-${BAD}` }, /castellan grant claude/],
    ['claude', { token: `sk-ant-api03-${BAD}` }, /castellan grant anthropic/],
    ['openai', { token: `sk-ant-api03-${BAD}` }, /no OpenAI key/],
    ['gemini', {}, /exactly one of key, token/],
    ['gemini', { key: BAD, token: BAD }, /exactly one of key, token/],
    ['telegram', { token: `1:${BAD}/../x` }, /segment of a path/],
    ['telegram', { token: `1:${BAD}?x` }, /segment of a path/],
    ['ssh', { key: BAD }, /must be a fingerprint/],
    ['aws', { role: BAD }, /must be the ARN/],
    ['aws', { role: ROLE, sessionDuration: '14m' }, /15m to 12h/],
    ['aws', { role: ROLE, sessionDuration: '13h' }, /15m to 12h/],
    ['aws', { role: ROLE, sessionDuration: '721m' }, /15m to 12h/],
    ['aws', { role: ROLE, externalId: '--endpoint-url=x' }, /no dash first/],
    ['aws', { role: ROLE, awsProfile: '-x' }, /no dash first/],
    ['aws', { role: ROLE, region: `${BAD}\n` }, /printable/],
  ])('of %s that are not: %#', (id, given, sentence) => {
    const problems = problemsOf(id, given)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(sentence)
    expect(problems.join()).not.toContain(BAD)
  })

  test('that look wrong are taken by force; what cannot be sent is not', () => {
    expect(problemsOf('github', { token: 'of-another-form' }, true)).toEqual([])
    expect(problemsOf('github', { token: 'two words' }, true)).toHaveLength(1)
  })
})

describe('what follows the colon', () => {
  test.each([
    ['npm', undefined, 'registry.npmjs.org'],
    ['npm', 'registry.example.com', 'registry.example.com'],
    ['ssh', 'github.com', 'github.com'],
    ['mcp', 'context7', 'context7'],
    ['github', undefined, ''],
  ])('of %s is %s', (id, given, expected) => {
    expect(readQualifier(provider(id), given)).toEqual({ ok: true, value: expected })
  })

  test.each([
    ['ssh', undefined, /write ssh:HOST, such as ssh:github\.com/],
    ['mcp', undefined, /write mcp:NAME/],
    ['github', 'canary-7f3a', /github stands alone/],
    ['npm', 'Canary-7f3a', /must be a host name/],
    ['npm', '*.canary-7f3a.com', /must be a host name/],
    ['ssh', '../canary-7f3a', /must be a host name/],
    ['mcp', '../canary-7f3a', /must be lowercase/],
  ])('of %s may not be that: %#', (id, given, sentence) => {
    const read = readQualifier(provider(id), given)
    expect(!read.ok && read.error).toMatch(sentence)
    expect(!read.ok && read.error).not.toMatch(/canary/i)
  })
})
