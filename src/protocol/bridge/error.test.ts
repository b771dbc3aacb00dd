import { expect, test } from 'vitest'
import { readMessage, type Message } from '../message.ts'
import { splice } from '../splice.ts'
import { bridgeError, readUrlElicitations, urlInputRequests } from './error.ts'

const message = (error: string): Message => {
  const found = readMessage(Buffer.from(`{"jsonrpc":"2.0","id":1,"error":${error}}`), 'upstream')
  if (!found.ok) throw new TypeError(found.error)
  return found.value
}

interface About {
  readonly method?: string
  readonly opensUrls?: boolean
  readonly capabilities?: string
}

/** The error that the client gets, or the text that the model does. */
function told(error: string, era: 'legacy' | 'modern', about: About = {}): string {
  const reply = message(error)
  const reader = { era, method: 'tools/call', opensUrls: false, capabilities: '{}', ...about }
  const bridged = bridgeError(reply, reader)
  if ('text' in bridged) return `text ${bridged.text}`
  const { error: found } = JSON.parse(splice(reply.bytes, bridged.edits).toString()) as { error: object }
  expect(found).toMatchObject({ code: bridged.code })
  return JSON.stringify(found)
}

const said = (code: number, text = 'm'): string => `{"code":${code},"message":"${text}"}`
const wrapped = (code: number): string => `{"data":{"original":${said(code)}},"code":-32603,"message":"m"}`
const READ = { method: 'resources/read' }

// oxfmt-ignore
test.each([
  // from the server             client    about     what the client gets
  [said(-32002, 'not found'),    'modern', READ,     said(-32602, 'not found')],
  [said(-32002, 'not found'),    'legacy', READ,     said(-32002, 'not found')],
  [said(-32602, 'Not found'),    'modern', READ,     said(-32602, 'Not found')],
  [said(-32602, 'Not found'),    'legacy', READ,     said(-32002, 'Not found')],
  [said(-32602, 'Unknown resource x'), 'legacy', READ, said(-32002, 'Unknown resource x')],
  [said(-32602, 'bad uri'),      'legacy', READ,     said(-32602, 'bad uri')],
  [said(-32602, 'tool not found'), 'legacy', {},     said(-32602, 'tool not found')],
  [said(-32000),                 'modern', {},       wrapped(-32000)],
  [said(-32019),                 'modern', {},       wrapped(-32019)],
  [said(-32000),                 'legacy', {},       said(-32000)],
  [said(-32001),                 'legacy', {},       said(-32001)],
  [said(-32020),                 'modern', {},       wrapped(-32020)],
  [said(-32022),                 'modern', {},       wrapped(-32022)],
  [said(-32099),                 'modern', {},       wrapped(-32099)],
  [said(-32020),                 'legacy', {},       wrapped(-32020)],
  [said(-32021),                 'legacy', {},       wrapped(-32021)],
  [said(-32022),                 'legacy', {},       wrapped(-32022)],
  [said(-32601),                 'modern', {},       said(-32601)],
  [said(-32601),                 'legacy', {},       said(-32601)],
  [said(-32603),                 'modern', {},       said(-32603)],
  [said(-31999),                 'modern', {},       said(-31999)],
  [said(7),                      'modern', {},       said(7)],
] as const)('%s to a %s client %o is %s', (error, era, about, expected) => {
  expect(told(error, era, about)).toBe(expected)
})

test('what the server gave as data stays, inside the original', () => {
  const error = '{"code":-32000,"message":"m","data":{"n":9007199254740993}}'
  const reply = message(error)
  const bridged = bridgeError(reply, { era: 'modern', method: 'x', opensUrls: false, capabilities: '{}' })
  const edits = 'edits' in bridged ? bridged.edits : []
  expect(splice(reply.bytes, edits).toString()).toContain(`"data":{"original":${error}}`)
})

// oxfmt-ignore
test.each([
  // required                                      declared                                 it is the client's
  ['{"sampling":{}}',                              '{}',                                    true],
  ['{"sampling":{}}',                              '{"sampling":{}}',                       false],
  ['{"sampling":{"tools":{}}}',                    '{"sampling":{}}',                       true],
  ['{"elicitation":{}}',                           '{"sampling":{}}',                       true],
  ['{"elicitation":{"form":{}}}',                  '{"elicitation":{}}',                    false],
  ['{"elicitation":{"url":{}}}',                   '{"elicitation":{}}',                    true],
  ['{"elicitation":{"url":{}}}',                   '{"elicitation":{"url":{}}}',            false],
  ['{"extensions":{"io.example/x":{}}}',           '{"extensions":{}}',                     true],
  ['{}',                                           '{}',                                    false],
  ['["sampling"]',                                 '{}',                                    false],
  ['null',                                         '{}',                                    false],
] as const)('a server that requires %s of a client with %s', (required, capabilities, isTheirs) => {
  const error = `{"code":-32021,"message":"m","data":{"requiredCapabilities":${required}}}`
  expect(JSON.parse(told(error, 'modern', { capabilities }))).toMatchObject({ code: isTheirs ? -32021 : -32603 })
})

const PAGES =
  '{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","elicitationId":"e1","message":"Sign in","url":"https://a.example/1"},{"url":"https://a.example/2"},{"url":"javascript:alert(1)"},7]}}'
const TEXT =
  'Ask the user to open this first, then try again:\nSign in: https://a.example/1\nhttps://a.example/2'

test('pages to be opened: passed on where they are understood, told to the model where not', () => {
  expect(told(PAGES, 'legacy', { opensUrls: true })).toBe(PAGES)
  expect(told(PAGES, 'legacy')).toBe(`text ${TEXT}`)
  expect(told(PAGES, 'modern', { opensUrls: true })).toBe(`text ${TEXT}`)
  expect(JSON.parse(told(PAGES, 'legacy', READ))).toEqual({ code: -32603, message: TEXT })
  expect(told('{"code":-32042,"message":"m"}', 'legacy')).toContain('does not say which')
})

test('pages to be opened, as a modern client is asked', () => {
  expect(urlInputRequests(readUrlElicitations(message(PAGES)))).toEqual([
    {
      key: 'page1',
      method: 'elicitation/create',
      params: '{"mode":"url","message":"Sign in","url":"https://a.example/1"}',
    },
    {
      key: 'page2',
      method: 'elicitation/create',
      params: '{"mode":"url","message":"","url":"https://a.example/2"}',
    },
  ])
})
