import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ownUri, readServerUri, serverUri } from './server-uri.ts'

// oxfmt-ignore
test.each([
  ['ui://app/main.html',     'ui://one.castellan/app/main.html'],
  ['ui://app.html',          'ui://one.castellan/app.html'],
  ['file:///etc/motd',       'file://one.castellan//etc/motd'],
  ['test://a:1/b?c=d#e',     'test://one.castellan/a:1/b?c=d#e'],
  ['test://t/{id}/data',     'test://one.castellan/t/{id}/data'],
  ['ui://{+path}',           'ui://one.castellan/{+path}'],
  ['urn:isbn:1',             'urn:one.castellan/isbn:1'],
  ['ui://one.castellan/x',   'ui://one.castellan/one.castellan/x'],
  ['https://a.example/b',    undefined],
  ['HTTP://a.example/b',     undefined],
  ['{scheme}://a',           undefined],
  ['no scheme',              undefined],
  ['test://[::1]/a',         undefined],
])('%s of the server one: %s', (uri, expected) => {
  expect(serverUri('one', uri)).toBe(expected)
  if (expected === undefined) return
  expect(readServerUri(expected)).toEqual({ server: 'one', uri })
  expect(ownUri('one', expected)).toBe(uri)
  expect(ownUri('two', expected)).toBe(expected)
})

test.each(['ui://app/main.html', 'ui://x.castellan', 'https://example.com/', '', 'ui://A_b.castellan/x'])(
  '%s names no server',
  (uri) => {
    expect(readServerUri(uri)).toBeUndefined()
    expect(ownUri('one', uri)).toBe(uri)
  },
)

test('whatever is rewritten is a URI for others, of the same scheme, and can be read back', () => {
  const uris = fc
    .webUrl({ withFragments: true, withQueryParameters: true })
    .map((url) => url.replace(/^https?/, 'ui'))
  fc.assert(
    fc.property(uris, fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/), (uri, server) => {
      const exposed = serverUri(server, uri) ?? ''
      expect(new URL(exposed).protocol).toBe('ui:')
      expect(new URL(exposed).host).toBe(`${server}.castellan`)
      expect(readServerUri(exposed)).toEqual({ server, uri })
    }),
  )
})
