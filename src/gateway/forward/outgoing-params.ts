import { PARAM_PREFIX, paramHeadersOf } from '../../protocol/param-headers.ts'
import { rawAt, type Message } from '../../protocol/message.ts'
import { need, type Exchange } from '../exchange.ts'
import type { Lease } from './pool.ts'

/**
 * `Mcp-Param-*` on the way to a modern server: what a modern client sent, which has been held against its arguments,
 * known to us or not (as an intermediary must); for a legacy client, computed from the arguments and our list.
 */
export function outgoingParams(x: Exchange, lease: Lease): Record<string, string> | undefined {
  if (lease.info.era === 'legacy') return undefined
  if (x.era === 'modern') return sentParams(x)
  const params = x.route?.params
  return params === undefined ? undefined : paramHeadersOf(need(x.message, 'message'), params)
}

/** For the one retry after -32020: whatever the client sent, headers follow the list as it is now. */
export function freshParams(x: Exchange): Record<string, string> {
  const params = x.route?.params ?? []
  return { ...sentParams(x), ...paramHeadersOf(need(x.message, 'message'), params) }
}

function sentParams(x: Exchange): Record<string, string> | undefined {
  let found: Record<string, string> | undefined
  const { headers } = x.request
  for (const name in headers) {
    if (!name.startsWith(PARAM_PREFIX)) continue
    const value = headers[name]
    if (typeof value === 'string') (found ??= {})[name] = value
  }
  return found
}

export const isHeaderMismatch = (x: Exchange, reply: Message): boolean =>
  x.kind === 'tools/call' && reply.shape === 'error' && rawAt(reply, 'error/code') === '-32020'
