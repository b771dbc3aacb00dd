import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createHostCheck } from '../gateway/listen/allowed-hosts.ts'
import { isMcpPath } from '../gateway/listen/handler.ts'
import { asFault, Fault, toHttp } from '../lib/fault.ts'
import { CONNECT_PATH } from './connect/connect-path.ts'
import { CALLBACK_PATH } from './sign-in/callback-path.ts'

// An `import` of this module would read every export of it and so load the built-in fetch, which nothing here uses.
const { createServer } = process.getBuiltinModule('node:http')

export interface FrontDeps {
  readonly gateway: { handle(request: IncomingMessage, response: ServerResponse): void }
  /** The control API. */
  readonly api: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  /** False while starting or draining. */
  readonly ready: () => boolean
  readonly metrics: (request: IncomingMessage) => Promise<Answer>
  /** The answer of an authorization server, which a browser brings back. */
  readonly callback: (grant: string, answer: URLSearchParams, request: IncomingMessage) => Promise<Answer>
  /** The answer of an identity provider, the same; undefined: nobody signs in here. */
  readonly signInCallback?: (answer: URLSearchParams, request: IncomingMessage) => Promise<Answer>
  /** The pages on which people connect accounts of theirs; undefined: nobody does that here. */
  readonly connect?: (request: IncomingMessage) => Promise<Answer>
  readonly hostNames: readonly string[]
  /** What an edge tells everybody of itself, at `/edge-info`. */
  readonly about?: () => object
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** One port: MCP endpoints straight to the gateway, the control API through Hono, probes and metrics beside them. */
export function createFront(deps: FrontDeps): Server {
  const hosts = createHostCheck(deps.hostNames)
  const server = createServer(
    { keepAliveTimeout: 65_000, headersTimeout: 20_000, requestTimeout: 300_000, maxHeaderSize: 32 * 1024 },
    (request, response) => {
      const url = request.url ?? '/'
      // `Connection: close`: whoever keeps it comes back by another one, to another daemon where there are several.
      if (!deps.ready()) response.shouldKeepAlive = false
      if (isMcpPath(url)) return deps.gateway.handle(request, response)
      if (!hosts.hostAllowed(request.headers.host) || !hosts.originAllowed(request.headers.origin)) {
        return send(response, faultAnswer(new Fault('origin_refused')))
      }
      if (url.startsWith('/api/')) {
        deps.api(request, response).catch((thrown: unknown) => send(response, faultAnswer(asFault(thrown))))
        return
      }
      void other(deps, url, request).then((answer) => send(response, answer))
    },
  )
  // Answers of calls that take long must not be cut; the gateway bounds each call itself.
  server.timeout = 0
  return server
}

async function other(deps: FrontDeps, url: string, request: IncomingMessage): Promise<Answer> {
  const [path = '', query] = url.split('?', 2)
  if (path === '/healthz') return plain(200, 'ok\n')
  if (path === '/readyz') return deps.ready() ? plain(200, 'ready\n') : plain(503, 'not ready\n')
  if (path === '/metrics') return deps.metrics(request)
  if (path === '/edge-info' && deps.about !== undefined)
    return { status: 200, type: 'application/json', body: `${JSON.stringify(deps.about())}\n` }
  const grant = /^\/oauth\/callback\/([a-z0-9-]{1,40})$/.exec(path)?.[1]
  if (grant !== undefined && request.method === 'GET')
    return deps
      .callback(grant, new URLSearchParams(query), request)
      .catch((thrown: unknown) => faultAnswer(asFault(thrown)))
  if (path === CALLBACK_PATH && request.method === 'GET' && deps.signInCallback !== undefined)
    return deps
      .signInCallback(new URLSearchParams(query), request)
      .catch((thrown: unknown) => faultAnswer(asFault(thrown)))
  if (path.startsWith(CONNECT_PATH) && deps.connect !== undefined)
    return deps.connect(request).catch((thrown: unknown) => faultAnswer(asFault(thrown)))
  // Clients look for OAuth metadata below /.well-known and for /register; they understand a JSON 404 only.
  return faultAnswer(
    new Fault('no_endpoint', { hint: 'MCP endpoints are below /projects, the API below /api/v1' }),
  )
}

const plain = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body })

export function faultAnswer(fault: Fault): Answer {
  const { status, type, headers, body } = toHttp(fault)
  return { status, type, headers, body: JSON.stringify(body) }
}

function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  response.writeHead(status, {
    ...headers,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}
