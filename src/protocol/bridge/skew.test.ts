import { describe, expect, test } from 'vitest'
import { readMessage } from '../message.ts'
import { splice } from '../splice.ts'
import { downgradeElicitation, downgradeResult } from './skew.ts'

function result(method: string, revision: string, text: string): string {
  const found = readMessage(Buffer.from(`{"jsonrpc":"2.0","id":1,"result":${text}}`), 'upstream')
  if (!found.ok) throw new TypeError(found.error)
  const bytes = splice(found.value.bytes, downgradeResult(found.value, method, revision)).toString()
  JSON.parse(bytes)
  return bytes.slice('{"jsonrpc":"2.0","id":1,"result":'.length, -1)
}

const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const
const AUDIO = '{"type":"audio","data":"AAAA","mimeType":"audio/wav"}'
const LINK = '{"type":"resource_link","uri":"a://b","name":"b","title":"B","description":"The b"}'
const text = (said: string): string => JSON.stringify({ type: 'text', text: said })
const NO_AUDIO = text('[audio of type audio/wav, which this client cannot be given]')
const AS_TEXT = text('B: a://b\nThe b')

describe('parts of content that came later', () => {
  // oxfmt-ignore
  test.each([
    // part     2024-11-05   2025-03-26   2025-06-18   2025-11-25
    ['audio',   AUDIO,       [NO_AUDIO,   AUDIO,       AUDIO,       AUDIO]],
    ['a link',  LINK,        [AS_TEXT,    AS_TEXT,     LINK,        LINK]],
    ['a link of little', '{"type":"resource_link","uri":"a://b"}', [text('a://b'), text('a://b'), '{"type":"resource_link","uri":"a://b"}', '{"type":"resource_link","uri":"a://b"}']],
    ['text',    '{"type":"text","text":"1e400"}', Array(4).fill('{"type":"text","text":"1e400"}')],
    ['what no revision has', '{"type":"hologram"}', Array(4).fill('{"type":"hologram"}')],
    ['what is no part', '7',  Array(4).fill('7')],
  ])('%s', (_, part, expected) => {
    const inTool = `{"content":[${part}, ${part}],"structuredContent":{"n":1e400}}`
    const inPrompt = `{"messages":[{"role":"user","content":${part}}]}`
    for (const [i, revision] of REVISIONS.entries()) {
      const own = String(expected[i])
      expect(result('tools/call', revision, inTool)).toBe(inTool.replaceAll(part, () => own))
      expect(result('prompts/get', revision, inPrompt)).toBe(inPrompt.replace(part, () => own))
      expect(result('resources/read', revision, inTool)).toBe(inTool)
    }
  })

  test.each(['{}', '{"content":null}', '{"content":{"type":"audio"}}', '7', '{"messages":[1]}'])(
    'a result that is not as it should be stays: %s',
    (odd) => {
      for (const method of ['tools/call', 'prompts/get']) expect(result(method, '2024-11-05', odd)).toBe(odd)
    },
  )
})

const form = (property: string): string =>
  `{"message":"m","requestedSchema":{"type":"object","properties":{"c":${property},"n":{"maximum":1e400}}}}`
const TITLED = '{"type":"string","oneOf":[{"const":"a","title":"A"},{"const":"b"}],"default":"a"}'
const NAMED = '{"type":"string","enum":["a","b"],"enumNames":["A","b"],"default":"a"}'

describe('choices with titles', () => {
  // oxfmt-ignore
  test.each([
    ['one of several',              TITLED,                                              NAMED],
    ['written as any of several',   TITLED.replace('oneOf', 'anyOf'),                    NAMED],
    ['a plain choice',              '{"type":"string","enum":["a"]}',                    '{"type":"string","enum":["a"]}'],
    ['choices that are no text',    '{"oneOf":[{"const":1,"title":"A"}]}',               '{"oneOf":[{"const":1,"title":"A"}]}'],
    ['choices that are schemas',    '{"oneOf":[{"type":"string"}]}',                     '{"oneOf":[{"type":"string"}]}'],
    ['no choice at all',            '{"oneOf":[]}',                                      '{"oneOf":[]}'],
    ['names there already',         '{"enum":["a"],"oneOf":[{"const":"a"}]}',            '{"enum":["a"],"oneOf":[{"const":"a"}]}'],
  ])('%s', (_, property, expected) => {
    expect(downgradeElicitation(form(property), '2025-06-18')).toBe(form(expected))
    expect(downgradeElicitation(form(property), '2025-11-25')).toBe(form(property))
  })

  test.each(['{}', '{"requestedSchema":null}', '{"requestedSchema":{"properties":[1]}}', '[]', '7'])(
    'what is no form stays: %s',
    (params) => {
      expect(downgradeElicitation(params, '2025-06-18')).toBe(params)
    },
  )
})
