/**
 * Values of `Mcp-Name` and `Mcp-Param-*` (MCP 2026-07-28, Streamable HTTP, "Value encoding"): plain where that is
 * safe, otherwise base64 of the UTF-8 bytes between two markers.
 */
const BEGIN = '=?base64?'
const END = '?='

const isPlain = (text: string): boolean =>
  /^[\x20-\x7e\t]*$/.test(text) && text.trim() === text && !(text.startsWith(BEGIN) && text.endsWith(END))

export const encodeHeaderValue = (text: string): string =>
  isPlain(text) ? text : `${BEGIN}${Buffer.from(text).toString('base64')}${END}`

/** Undefined when the base64 is not canonical or not UTF-8: the header is then malformed. */
export function decodeHeaderValue(header: string): string | undefined {
  const text = header.replace(/^[ \t]+|[ \t]+$/g, '')
  if (!text.startsWith(BEGIN) || !text.endsWith(END) || text.length < BEGIN.length + END.length) return text
  const encoded = text.slice(BEGIN.length, -END.length)
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return undefined
  const decoded = bytes.toString('utf8')
  return Buffer.from(decoded).equals(bytes) ? decoded : undefined
}
