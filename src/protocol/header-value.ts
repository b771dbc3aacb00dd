/**
 * Values of `Mcp-Name` and `Mcp-Param-*` (MCP 2026-07-28, Streamable HTTP, "Value encoding"): plain where that is
 * safe, otherwise base64 of the UTF-8 bytes between two markers.
 */
const BEGIN = '=?base64?'
const END = '?='

const isVisible = (text: string): boolean => /^[\x20-\x7e\t]*$/.test(text)

/** It means itself: no marker to decode, nothing that a header cannot hold. */
export const isPlainHeader = (text: string): boolean =>
  isVisible(text) && text.trim() === text && !(text.startsWith(BEGIN) && text.endsWith(END))

export const encodeHeaderValue = (text: string): string =>
  isPlainHeader(text) ? text : `${BEGIN}${Buffer.from(text).toString('base64')}${END}`

/** Undefined when it is malformed: base64 that is not canonical or not UTF-8, or text that had to be encoded. */
export function decodeHeaderValue(header: string): string | undefined {
  const text = header.replace(/^[ \t]+|[ \t]+$/g, '')
  if (!text.startsWith(BEGIN) || !text.endsWith(END) || text.length < BEGIN.length + END.length)
    return isVisible(text) ? text : undefined
  const encoded = text.slice(BEGIN.length, -END.length)
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return undefined
  const decoded = bytes.toString('utf8')
  return Buffer.from(decoded).equals(bytes) ? decoded : undefined
}
