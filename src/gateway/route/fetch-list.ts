import { err, ok, type Result } from '../../lib/result.ts'
import { requestMessage } from '../../protocol/json-rpc.ts'
import { hasPath, stringAt } from '../../protocol/message.ts'
import { ourEnvelope, ownMessage } from '../forward/handshake.ts'
import type { Lease } from '../forward/pool.ts'
import { ask, type UpstreamFailure } from '../forward/upstream.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import { LIST_METHOD, readListedItems, type ListedItem, type ListKind } from './listed-item.ts'

const MAX_PAGES = 200
const MAX_ITEMS = 20_000

/** Fetches all pages of one list. A server without the capability has an empty one and is not asked. */
export async function fetchList(
  lease: Lease,
  kind: ListKind,
  us: Implementation,
  timeoutMs: number,
): Promise<Result<ListedItem[], UpstreamFailure>> {
  const { capabilities, era } = lease.info
  const capability = kind === 'templates' ? capabilities.resources : capabilities[kind]
  if (capability === undefined) return ok([])
  const items: ListedItem[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const params = {
      ...(cursor === undefined ? {} : { cursor }),
      ...(era === 'modern' ? { _meta: ourEnvelope(us) } : {}),
    }
    const method = LIST_METHOD[kind]
    const message = ownMessage(requestMessage('0', method, params))
    const reply = await ask(lease.upstream, { method, message, edits: [], timeoutMs })
    if (!reply.ok) return reply
    if (reply.value.shape === 'error') {
      // Declared, but not served: some servers declare resources and have no templates.
      return page === 0 ? ok([]) : err({ kind: 'invalid', message: `it refused to go on with ${method}` })
    }
    const read = readListedItems(reply.value, kind)
    if (read === undefined) return err({ kind: 'invalid', message: `its answer to ${method} is not a list` })
    items.push(...read.items)
    if (items.length > MAX_ITEMS)
      return err({ kind: 'invalid', message: `it lists more than ${MAX_ITEMS} ${kind}` })
    // An empty string is a cursor too; only absence means the end (MCP, pagination).
    cursor = hasPath(reply.value, 'result/nextCursor')
      ? stringAt(reply.value, 'result/nextCursor')
      : undefined
    if (cursor === undefined) return ok(items)
  }
  return err({ kind: 'invalid', message: `its list of ${kind} does not end` })
}
