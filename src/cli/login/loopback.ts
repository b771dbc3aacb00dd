import type { IncomingMessage, Server, ServerResponse } from 'node:http'

// As in http-request.ts: an import would load the whole of the built-in fetch.
const { createServer } = process.getBuiltinModule('node:http')

/** What a browser brought, a one-time code or why there is none, and the browser that waits for what became of it. */
interface Brought {
  readonly code: string | undefined
  /** Words of the daemon, or of whoever else knocked here: nothing in them moves a cursor. */
  readonly problem: string
  readonly answer: (page: { readonly ok: boolean; readonly text: string }) => void
}

export interface Loopback {
  readonly port: number
  /** The first that comes; never rejects. */
  readonly brought: Promise<Brought>
  close(): void
}

const CODE = /^[A-Za-z0-9_.~-]{8,512}$/

/**
 * Listens where a browser on this machine is sent to when it has signed in (RFC 8252 section 7.3). Anybody on the
 * machine can knock here; the code alone is worth nothing without the verifier, which never leaves this process but
 * to the daemon.
 */
export async function listenForCode(): Promise<Loopback> {
  const { promise: brought, resolve } = Promise.withResolvers<Brought>()
  const server = createServer((request, response) => {
    const found = broughtBy(request, portOf(server))
    if (found === undefined) return send(response, 404, 'There is nothing here.')
    resolve({ ...found, answer: ({ ok, text }) => send(response, ok ? 200 : 400, text) })
  })
  server.maxConnections = 20
  await listening(server)
  return { port: portOf(server), brought, close: () => close(server) }
}

/** The name in `Host` has to be that of the address: a page elsewhere may have had its own name lead here. */
function broughtBy(
  { method, url = '', headers }: IncomingMessage,
  port: number,
): Pick<Brought, 'code' | 'problem'> | undefined {
  if (method !== 'GET' || headers.host !== `127.0.0.1:${port}`) return undefined
  const { pathname, searchParams } = new URL(url, 'http://127.0.0.1')
  if (pathname !== '/') return undefined
  const code = searchParams.get('code') ?? ''
  if (CODE.test(code)) return { code, problem: '' }
  const problem = (searchParams.get('error') ?? '').replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 300)
  return problem === '' ? undefined : { code: undefined, problem }
}

function send(response: ServerResponse, status: number, text: string): void {
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'",
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    connection: 'close',
  }
  response.writeHead(status, headers).end(`<!doctype html><title>Castellan</title><p>${text}</p>\n`)
}

const portOf = (server: Server): number => (server.address() as { readonly port: number }).port

const listening = (server: Server): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })

/** What was answered still goes out; a browser that keeps a connection open must not keep the command. */
function close(server: Server): void {
  server.close()
  server.closeIdleConnections()
  server.unref()
}
