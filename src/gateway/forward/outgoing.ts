import { spanOf } from '../../protocol/message.ts'
import { splice, type Edit } from '../../protocol/splice.ts'
import type { UpstreamRequest } from './upstream.ts'

/** The bytes that leave: the caller's own, with our id and our progress token in place of the caller's. */
export function outgoingBytes(request: UpstreamRequest, wireId: string): Buffer {
  const id = spanOf(request.message, 'id')
  // The id comes first in what every library writes, and edits in order need no sorting.
  const edits: Edit[] = id === undefined ? [] : [{ ...id, text: wireId }]
  edits.push(...request.edits)
  const token = spanOf(request.message, 'params/_meta/progressToken')
  if (token !== undefined) edits.push({ ...token, text: wireId })
  return splice(request.message.bytes, edits)
}
