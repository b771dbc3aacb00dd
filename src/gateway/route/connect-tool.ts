import type { ServerView } from '../snapshot.ts'
import type { ListedItem } from './listed-item.ts'

/** What a server offers to somebody who has not connected an account of theirs yet. */
export const CONNECT_TOOL = 'connect'

export function connectTool({ name, spec }: ServerView): ListedItem {
  const about = spec.description === undefined ? '' : ` ${spec.description}`
  const text = Buffer.from(
    JSON.stringify({
      name: CONNECT_TOOL,
      title: `Connect ${name}`,
      description: `The user has not connected an account for ${name} yet, so its tools are not known. Calling this gives the address at which they can.${about}`,
      inputSchema: { type: 'object', properties: {}, additionalProperties: false },
    }),
  )
  const start = text.indexOf(JSON.stringify(CONNECT_TOOL))
  return {
    text,
    key: CONNECT_TOOL,
    keyAt: { start, end: start + Buffer.byteLength(JSON.stringify(CONNECT_TOOL)) },
    params: undefined,
    pages: undefined,
    asTask: false,
  }
}
