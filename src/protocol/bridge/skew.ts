import { elements, members, type Member } from '../json-spans.ts'
import { spanOf, type Message, type Span } from '../message.ts'
import { splice, type Edit } from '../splice.ts'

/**
 * Newer things for older clients, within the legacy era. Only what their libraries refuse is touched: in the official
 * SDK the parts of content were a closed union per revision (`ContentBlockSchema`), so that one unknown part made the
 * whole result unreadable, while unknown members of an object always were dropped or kept in silence.
 */

/** Revisions are dates, so they compare as strings. */
const HAS_AUDIO = '2025-03-26'
const HAS_LINKS = '2025-06-18'
const HAS_TITLED_CHOICES = '2025-11-25'

const OBJECT = 0x7b

/** Whether results on their way to a client of this revision have to be looked at. */
export const isBehind = (revision: string): boolean => revision < HAS_LINKS

/** Content of a result that a client of this revision does not know, as text. */
export function downgradeResult(message: Message, method: string, revision: string): Edit[] {
  const result = spanOf(message, 'result')
  if (result === undefined || !isBehind(revision)) return []
  const { bytes } = message
  return contentOf(bytes, result, method).flatMap((part) => {
    const text = asText(bytes, part, revision)
    return text === undefined ? [] : [{ ...part, text: JSON.stringify({ type: 'text', text }) }]
  })
}

function contentOf(bytes: Buffer, result: Span, method: string): Span[] {
  if (method === 'tools/call') {
    const content = members(bytes, result).get('content')
    return content === undefined ? [] : elements(bytes, content)
  }
  if (method !== 'prompts/get') return []
  const messages = members(bytes, result).get('messages')
  if (messages === undefined) return []
  return elements(bytes, messages).flatMap((one) => {
    const content = members(bytes, one).get('content')
    return content === undefined ? [] : [{ start: content.start, end: content.end }]
  })
}

function asText(bytes: Buffer, part: Span, revision: string): string | undefined {
  if (bytes[part.start] !== OBJECT) return undefined
  const own = members(bytes, part)
  const type = stringOf(bytes, own.get('type'))
  if (type === 'audio' && revision < HAS_AUDIO) {
    const mime = stringOf(bytes, own.get('mimeType'))
    return `[audio${mime === undefined ? '' : ` of type ${mime}`}, which this client cannot be given]`
  }
  if (type !== 'resource_link') return undefined
  const said = ['title', 'name', 'uri', 'description'].map((key) => stringOf(bytes, own.get(key)))
  const [title, name, uri = '', description] = said
  const label = title ?? name
  return [`${label === undefined ? '' : `${label}: `}${uri}`, description]
    .filter((line) => line !== undefined)
    .join('\n')
}

function stringOf(bytes: Buffer, member: Member | undefined): string | undefined {
  if (member === undefined || bytes[member.start] !== 0x22) return undefined
  return JSON.parse(bytes.toString('utf8', member.start, member.end)) as string
}

/**
 * A form as a client of this revision can show it: choices with titles are `enum` and `enumNames` before 2025-11-25
 * (`EnumSchema`); without them such a client shows a field for free text.
 * @param params JSON text of the parameters of `elicitation/create`
 */
export function downgradeElicitation(params: string, revision: string): string {
  if (revision >= HAS_TITLED_CHOICES) return params
  const bytes = Buffer.from(params)
  const schema = members(bytes, { start: 0, end: bytes.length }).get('requestedSchema')
  const properties = schema === undefined ? undefined : members(bytes, schema).get('properties')
  if (properties === undefined) return params
  const edits = [...members(bytes, properties).values()].flatMap((property) => untitled(bytes, property))
  return edits.length === 0 ? params : splice(bytes, edits).toString()
}

function untitled(bytes: Buffer, property: Span): Edit[] {
  const own = members(bytes, property)
  const choices = own.get('oneOf') ?? own.get('anyOf')
  if (choices === undefined || own.has('enum') || own.has('enumNames')) return []
  const values: string[] = []
  const names: string[] = []
  for (const choice of elements(bytes, choices)) {
    const parts = members(bytes, choice)
    const value = stringOf(bytes, parts.get('const'))
    if (value === undefined) return []
    values.push(value)
    names.push(stringOf(bytes, parts.get('title')) ?? value)
  }
  if (values.length === 0) return []
  const text = `"enum":${JSON.stringify(values)},"enumNames":${JSON.stringify(names)}`
  return [{ start: choices.keyStart, end: choices.end, text }]
}
