import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ENVELOPE_KEYS } from '../envelope.ts'
import { readMessage, type Message } from '../message.ts'
import { memberList } from '../json-spans.ts'
import { splice } from '../splice.ts'
import { removeMembers, toLegacyRequest, toModernRequest, type LegacyClient } from './request.ts'

const message = (text: string): Message => {
  const found = readMessage(Buffer.from(text), 'client')
  if (!found.ok) throw new TypeError(found.error)
  return found.value
}

const CLIENT: LegacyClient = {
  clientInfo: '{"name":"c","version":"1","n":1e400}',
  capabilities: '{}',
  logLevel: undefined,
}
const ENVELOPE =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},' +
  `"io.modelcontextprotocol/clientInfo":${CLIENT.clientInfo}`
const call = (params: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call"${params}}`

const modern = (text: string, client = CLIENT): string =>
  splice(Buffer.from(text), toModernRequest(message(text), client)).toString()
const legacy = (text: string): string => splice(Buffer.from(text), toLegacyRequest(message(text))).toString()

// oxfmt-ignore
test.each([
  ['no parameters',              call(''),                                  call(`,"params":{"_meta":{${ENVELOPE}}}`)],
  ['empty parameters',           call(',"params":{}'),                      call(`,"params":{"_meta":{${ENVELOPE}}}`)],
  ['parameters',                 call(',"params":{ "name":"x" }'),          call(`,"params":{"_meta":{${ENVELOPE}}, "name":"x" }`)],
  ['an empty _meta',             call(',"params":{"_meta":{}}'),            call(`,"params":{"_meta":{${ENVELOPE}}}`)],
  ['a _meta',                    call(',"params":{"_meta":{"a":-0}}'),      call(`,"params":{"_meta":{${ENVELOPE},"a":-0}}`)],
  ['a _meta that is null',       call(',"params":{"a":1,"_meta":null}'),    call(`,"params":{"a":1,"_meta":{${ENVELOPE}}}`)],
  ['a _meta that is an array',   call(',"params":{"_meta":[1],"a":1}'),     call(`,"params":{"_meta":{${ENVELOPE}},"a":1}`)],
])('to a modern server, with %s', (_, text, expected) => {
  expect(modern(text)).toBe(expected)
})

test('to a modern server, the level that the session has set goes with every request', () => {
  const sent = modern(call(',"params":{}'), { ...CLIENT, logLevel: 'debug' })
  expect(sent).toBe(call(`,"params":{"_meta":{${ENVELOPE},"io.modelcontextprotocol/logLevel":"debug"}}`))
})

// oxfmt-ignore
test.each([
  ['nothing to take out',      call(',"params":{"name":"x","n":9007199254740993}'), call(',"params":{"name":"x","n":9007199254740993}')],
  ['the envelope alone',       call(`,"params":{"_meta":{${ENVELOPE}}}`),           call(',"params":{"_meta":{}}')],
  ['the envelope and a token', call(`,"params":{"_meta":{${ENVELOPE},"progressToken":0}}`), call(',"params":{"_meta":{"progressToken":0}}')],
  ['a token in front',         call(`,"params":{"_meta":{"progressToken":0,${ENVELOPE}}}`), call(',"params":{"_meta":{"progressToken":0}}')],
  ['keys of others between',   call(`,"params":{"_meta":{"a":1,${ENVELOPE},"b":2,"io.modelcontextprotocol/logLevel":"info","c":3}}`), call(',"params":{"_meta":{"a":1,"b":2,"c":3}}')],
  ['an escaped key',           call(',"params":{"_meta":{"io.modelcontextprotocol\\/logLevel":"info"}}'), call(',"params":{"_meta":{}}')],
  ['what a retry carries',     call(',"params":{"inputResponses":{"k":{}},"name":"x","requestState":"s"}'), call(',"params":{"name":"x"}')],
  ['a _meta that is null',     call(',"params":{"_meta":null}'),                    call(',"params":{"_meta":null}')],
])('to a legacy server, with %s', (_, text, expected) => {
  expect(legacy(text)).toBe(expected)
})

const key = fc.constantFrom('a', 'b', 'c', 'd', 'é', 'x"y')
const spaces = fc.stringMatching(/^[ \n\t]{0,2}$/)
/** An object as text, its members in order, with white space between the tokens. */
const written = fc.tuple(fc.array(fc.tuple(key, fc.jsonValue({ maxDepth: 2 })), { maxLength: 8 }), spaces)

test('whatever is taken out of an object, what is left is what would have been left out of its value', () => {
  fc.assert(
    fc.property(written, fc.subarray(['a', 'b', 'é', 'x"y']), fc.boolean(), ([list, space], gone, unique) => {
      const all = unique ? [...new Map(list)] : list
      const text = `{${all.map(([k, v]) => `${space}${JSON.stringify(k)}${space}:${space}${JSON.stringify(v)}${space}`).join(',')}}`
      const bytes = Buffer.from(text)
      const left = splice(bytes, removeMembers(bytes, { start: 0, end: bytes.length }, gone)).toString()
      const kept = all.filter(([k]) => !gone.includes(k))
      expect(Object.entries(JSON.parse(left) as object)).toEqual(
        Object.entries(JSON.parse(JSON.stringify(Object.fromEntries(kept))) as object),
      )
      // None of a repeated key is left either, which its value would not show.
      const keys = memberList(Buffer.from(left), { start: 0, end: left.length }).map((member) => member.key)
      for (const k of gone) expect(keys).not.toContain(k)
      if (gone.length === 0) expect(left).toBe(text)
    }),
    { numRuns: 500 },
  )
})

test('there and back, a request means what it meant', () => {
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.jsonValue({ maxDepth: 2 })),
      fc.option(fc.dictionary(key, fc.jsonValue())),
      (params, meta) => {
        const text = call(
          `,"params":${JSON.stringify({ ...params, ...(meta === null ? {} : { _meta: meta }) })}`,
        )
        const there = JSON.parse(modern(text)) as { params: { _meta: Record<string, unknown> } }
        for (const envelopeKey of ENVELOPE_KEYS.slice(0, 3))
          expect(there.params._meta).toHaveProperty([envelopeKey])
        const back = JSON.parse(legacy(modern(text))) as { params: { _meta?: unknown } }
        const before = JSON.parse(text) as { params: { _meta?: unknown } }
        expect(back).toEqual({ ...before, params: { ...before.params, _meta: before.params._meta ?? {} } })
      },
    ),
  )
})
