import { expect, test } from 'vitest'
import { readPastedAnswer } from './pasted-answer.ts'

const REDIRECT = 'http://127.0.0.1:7411/oauth/callback/notes'

// oxfmt-ignore
test.each([
  ['the whole address', `${REDIRECT}?code=c&state=s`],
  ['with spaces around it', `  ${REDIRECT}?code=c&state=s\n`],
  ['with a fragment behind it', `${REDIRECT}?code=c&state=s#_=_`],
  ['its query', '?code=c&state=s'],
  ['its query without the mark', 'state=s&code=c'],
])('taken: %s', (_, pasted) => {
  const answer = readPastedAnswer(pasted, REDIRECT)
  expect(answer.ok && [answer.value.get('code'), answer.value.get('state')]).toEqual(['c', 's'])
})

test('taken: an error, which is an answer too', () => {
  const answer = readPastedAnswer(`${REDIRECT}?error=access_denied&state=s&iss=x`, REDIRECT)
  expect(answer.ok && answer.value.get('error')).toBe('access_denied')
})

// oxfmt-ignore
test.each([
  ['another origin', 'http://canary.example/oauth/callback/notes?code=c&state=s', /another page/],
  ['another port', 'http://127.0.0.1:7412/oauth/callback/notes?code=c&state=s', /another page/],
  ['another path', 'http://127.0.0.1:7411/oauth/callback/canary?code=c&state=s', /another page/],
  ['another scheme', 'https://127.0.0.1:7411/oauth/callback/notes?code=c&state=s', /another page/],
  ['a user in it', 'http://canary@127.0.0.1:7411/oauth/callback/notes?code=c&state=s', /another page/],
  ['a script', 'javascript:canary', /another page/],
  ['the address before the answer', REDIRECT, /holds no answer/],
  ['no state', `${REDIRECT}?code=canary`, /holds no answer/],
  ['no code', `${REDIRECT}?state=canary`, /holds no answer/],
  ['a code alone', 'canary', /holds no answer/],
  ['nothing', '', /holds no answer/],
  ['a book', `?code=c&state=${'canary'.repeat(2000)}`, /longer/],
])('refused: %s', (_, pasted, expected) => {
  const answer = readPastedAnswer(pasted, REDIRECT)
  expect(answer).toMatchObject({ ok: false, error: expect.stringMatching(expected) as string })
  expect(JSON.stringify(answer)).toContain(REDIRECT)
  expect(JSON.stringify(answer)).not.toContain('canary')
})
