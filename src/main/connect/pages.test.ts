import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { html } from './html.ts'
import { render } from './page.ts'
import { createTickets } from './ticket.ts'
import { createVisitors, SIGNED_IN_MS } from './visitor.ts'

const KEY = Buffer.alloc(32, 7)
const clock = { ms: 1_000_000, nowMs: () => clock.ms }
const withCookie = (cookie: string) => ({ headers: { cookie } }) as unknown as IncomingMessage
const valueOf = (setCookie: string): string => setCookie.split(';', 1)[0] ?? ''

test('what comes from elsewhere is text, wherever it stands; parts of a page are not escaped twice', () => {
  const evil = `"><script>alert(1)</script>&'`
  const escaped = '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;'
  const part = html`<b title="${evil}">${evil}</b>`
  expect(part.text).toBe(`<b title="${escaped}">${escaped}</b>`)
  expect(html`<p>${[part, part]}${undefined}${3}</p>`.text).toBe(`<p>${part.text}${part.text}3</p>`)
  const { body } = render({ title: evil, body: part, goTo: evil })
  expect(body).not.toContain('<script>')
  expect(body).toContain(`content="0; url=${escaped}"`)
})

test('a ticket is for one Server and one holder, ten minutes long, and of no other key', () => {
  const tickets = createTickets(KEY, clock)
  const text = tickets.seal({ server: 'notes', holder: 'user:usr_1' })
  expect(tickets.open(text)).toMatchObject({ server: 'notes', holder: 'user:usr_1' })
  expect(createTickets(Buffer.alloc(32, 8), clock).open(text)).toBeUndefined()
  expect(tickets.open(text.slice(0, -4))).toBeUndefined()
  clock.ms += 10 * 60_000
  expect(tickets.open(text)).toBe('old')
})

test('where browsers come by https the cookie is bound to the host and goes nowhere else', () => {
  const visitors = createVisitors(KEY, clock, () => true)
  const visitor = visitors.begin()
  const cookie = visitors.cookie(visitor)
  expect(cookie).toMatch(
    /^__Host-castellan=ccv1\.[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure$/,
  )
  expect(visitors.of(withCookie(`other=1; ${valueOf(cookie)}; castellan=x`))).toEqual(visitor)
  // One of http, which anybody on the way may have set, is not looked at.
  const plain = createVisitors(KEY, clock, () => false).cookie(visitor)
  expect(visitors.of(withCookie(valueOf(plain)))).toBeUndefined()
})

test('a sign-in on the page is another visitor, for a quarter of an hour', () => {
  const visitors = createVisitors(KEY, clock, () => false)
  const [before, after] = [visitors.begin(), visitors.signedIn('digest')]
  expect(after.id).not.toBe(before.id)
  const cookie = withCookie(valueOf(visitors.cookie(after)))
  expect(visitors.of(cookie)).toMatchObject({ signIn: 'digest' })
  clock.ms += SIGNED_IN_MS
  expect(visitors.of(cookie)).toBeUndefined()
})

test('a mark is for one visitor and one page, and says what was shown', () => {
  const visitors = createVisitors(KEY, clock, () => false)
  const [ada, bob] = [visitors.begin(), visitors.begin()]
  const mark = visitors.seal(ada, 'ticket', 'what was shown')
  expect(visitors.opened(mark, ada, 'ticket')).toBe('what was shown')
  for (const wrong of [
    visitors.opened(mark, bob, 'ticket'),
    visitors.opened(mark, ada, 'another'),
    visitors.opened(mark.slice(0, -4), ada, 'ticket'),
    visitors.opened(valueOf(visitors.cookie(ada)).slice('castellan='.length), ada, 'ticket'),
    visitors.opened('', ada, 'ticket'),
  ])
    expect(wrong).toBeUndefined()
})
