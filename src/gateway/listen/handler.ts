import type { IncomingMessage, ServerResponse } from 'node:http'
import { createExchange, type Exchange, type Target } from '../exchange.ts'
import { createOutlet } from '../reply/outlet.ts'
import type { HostCheck } from './allowed-hosts.ts'
import { crossOrigin } from './cross-origin.ts'

const PREFIX = '/projects/'
/** Whatever else stands in a path, a token even, is no name: it goes no further, to no record and no log. */
const NAME = /^[a-z0-9-]{1,40}$/

/** Whether a path is ours; the rest belongs to the control API and the probes. */
export const isMcpPath = (url: string): boolean => url.startsWith(PREFIX)

/** `/projects/{project}/mcp`, `/projects/{project}/servers/{server}/mcp` and `…/sse`, `…/messages` in place of `…/mcp`; undefined for every other path. */
export function parseTarget(url: string): Target | undefined {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  const parts = path.slice(PREFIX.length).split('/')
  const [project = '', second, server = '', last] = parts
  if (!NAME.test(project)) return undefined
  if (parts.length === 2) return atDoor(second, project, undefined)
  if (parts.length === 4 && second === 'servers' && NAME.test(server)) return atDoor(last, project, server)
  return undefined
}

/** HTTP+SSE has addresses of its own. */
function atDoor(door: string | undefined, project: string, server: string | undefined): Target | undefined {
  if (door === 'mcp') return { project, server, sse: undefined }
  if (door === 'sse') return { project, server, sse: 'stream' }
  return door === 'messages' ? { project, server, sse: 'messages' } : undefined
}

const METHODS = {
  mcp: ['POST', 'GET', 'DELETE'],
  stream: ['GET'],
  messages: ['POST'],
} as const satisfies Record<string, readonly string[]>

/** Clients send the same few paths over and over. */
const MAX_REMEMBERED = 1000

function rememberTargets(): (url: string) => Target | undefined {
  const known = new Map<string, Target>()
  return (url) => {
    const found = known.get(url)
    if (found !== undefined) return found
    const target = parseTarget(url)
    // What stands in a query is nobody's to keep.
    if (target !== undefined && known.size < MAX_REMEMBERED && !url.includes('?')) known.set(url, target)
    return target
  }
}

/** Takes requests to MCP endpoints off the wire and hands each to the pipeline as an Exchange. */
export function createMcpHandler(
  run: (x: Exchange) => Promise<void>,
  tickMs: () => number,
  hosts: HostCheck,
): (request: IncomingMessage, response: ServerResponse) => void {
  const targetOf = rememberTargets()
  return (request, response) => {
    const target = targetOf(request.url ?? '')
    if (target === undefined) {
      json(response, 404, {
        error: {
          code: 'no_endpoint',
          message: 'MCP endpoints are /projects/{project}/mcp and /projects/{project}/servers/{server}/mcp',
        },
      })
      return
    }
    if (request.headers.origin !== undefined && crossOrigin(request, response, hosts)) return
    const methods: readonly string[] = METHODS[target.sse ?? 'mcp']
    if (!methods.includes(request.method ?? '')) {
      response.setHeader('allow', methods.join(', '))
      json(response, 405, {
        error: { code: 'method_not_allowed', message: `this endpoint takes ${methods.join(', ')}` },
      })
      return
    }
    void run(createExchange({ request, response, target, startedMs: tickMs(), out: createOutlet(response) }))
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
