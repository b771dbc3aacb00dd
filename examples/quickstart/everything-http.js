// The reference server over Streamable HTTP, for the quickstart. The package's own entry listens on every address of
// the machine and outlives who started it; this one listens on loopback only, says its port to its parent, and ends
// when the parent does, however that ends.
//
// To run it by hand: node examples/quickstart/everything-http.js 3001
import { randomUUID } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'

// The package declares its program only, not the server inside it.
const serverPackage = import.meta.resolve('@modelcontextprotocol/server-everything/package.json')
const { createServer } = await import(new URL('dist/server/index.js', serverPackage).href)

/** @type {Map<string, StreamableHTTPServerTransport>} */
const sessions = new Map()

const http = createHttpServer((request, response) => {
  answer(request, response).catch((error) => {
    process.stderr.write(`${error}\n`)
    if (!response.headersSent) response.writeHead(500)
    response.end()
  })
})

async function answer(request, response) {
  if (request.url !== '/mcp') return response.writeHead(404).end()
  const id = request.headers['mcp-session-id']
  const session = id === undefined ? await openSession() : sessions.get(id)
  if (session === undefined) return response.writeHead(404).end()
  return session.handleRequest(request, response)
}

async function openSession() {
  const { server, cleanup } = createServer()
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => {
      sessions.delete(id)
      cleanup(id)
    },
    // A web page in a browser of this machine must not reach it under another name.
    enableDnsRebindingProtection: true,
    allowedHosts: [`127.0.0.1:${http.address().port}`],
  })
  await server.connect(transport)
  return transport
}

process.on('disconnect', () => process.exit(0))
// Ctrl-C goes to all processes of a terminal: the parent decides when this one ends.
if (process.send !== undefined) process.on('SIGINT', () => {})

http.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const { port } = http.address()
  process.send?.({ port })
  process.stdout.write(`listening on http://127.0.0.1:${port}/mcp\n`)
})
