import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HostCheck } from './allowed-hosts.ts'

/**
 * Lets pages of the allowed origins (a local inspector, say) use the endpoints: without these headers the browser keeps
 * the answers from them. No cookies are involved; the page must have a token of its own (Fetch standard, CORS).
 */
const ALLOWED =
  'authorization, content-type, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id'
const EXPOSED = 'mcp-session-id, www-authenticate'

/** True: it was a preflight and is answered. */
export function crossOrigin(request: IncomingMessage, response: ServerResponse, hosts: HostCheck): boolean {
  const { origin, host } = request.headers
  const known = origin !== undefined && hosts.originAllowed(origin) && hosts.hostAllowed(host)
  if (known) {
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('access-control-expose-headers', EXPOSED)
    response.setHeader('vary', 'Origin')
  }
  if (request.method !== 'OPTIONS') return false
  if (known) {
    response.setHeader('access-control-allow-methods', 'POST, GET, DELETE')
    response.setHeader('access-control-allow-headers', ALLOWED)
    response.setHeader('access-control-max-age', '600')
  }
  response.writeHead(known ? 204 : 403, { 'content-length': '0' })
  response.end()
  return true
}
