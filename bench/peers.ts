import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { end, endWithUs, type Measured } from './processes.ts'

const CACHE = new URL('../.cache/bench-peers/', import.meta.url).pathname
const STDIO = new URL('null-stdio.ts', import.meta.url).pathname

/** Another gateway of the field, as it is meant to be used. */
export interface Peer {
  readonly package: string
  readonly version: string
  /** Its program, in its package. */
  readonly program: string
  /** How it reaches the null server. */
  readonly behind: 'http' | 'stdio'
  /** What it speaks in front. */
  readonly front: 'http' | 'http+sse'
  /** What it calls the tool. */
  readonly tool: string
  readonly args: (at: { port: number; upstream: string; home: string }) => Promise<readonly string[]>
}

export const PEERS: readonly Peer[] = [
  {
    package: 'mcp-hub',
    version: '4.2.1',
    program: 'dist/cli.js',
    behind: 'http',
    front: 'http+sse',
    tool: 'null__echo',
    args: async ({ port, upstream, home }) => {
      const config = join(home, 'config.json')
      await writeFile(config, JSON.stringify({ mcpServers: { null: { url: `${upstream}/mcp` } } }))
      return ['--port', String(port), '--config', config]
    },
  },
  {
    package: 'mcp-proxy',
    version: '6.7.19',
    program: 'dist/bin/mcp-proxy.mjs',
    behind: 'stdio',
    front: 'http',
    tool: 'echo',
    args: async ({ port }) => ['--host', '127.0.0.1', '--port', String(port), '--', process.execPath, STDIO],
  },
  {
    package: 'supergateway',
    version: '4.0.0',
    program: 'dist/index.js',
    behind: 'stdio',
    front: 'http',
    tool: 'echo',
    // Without sessions it starts a server for each request.
    // oxfmt-ignore
    args: async ({ port }) => [
      '--stdio', `"${process.execPath}" "${STDIO}"`, '--outputTransport', 'streamableHttp', '--stateful',
      '--port', String(port), '--logLevel', 'none',
    ],
  },
]

/**
 * Installs what is missing, in the pinned versions, into an ignored folder.
 * @returns why that could not be, or undefined
 */
export async function installPeers(): Promise<string | undefined> {
  const missing: string[] = []
  for (const peer of PEERS) if (!(await isInstalled(peer))) missing.push(`${peer.package}@${peer.version}`)
  if (missing.length === 0) return undefined
  console.log(`installing ${missing.join(', ')}`)
  await mkdir(CACHE, { recursive: true })
  const args = [
    'install',
    '--prefix',
    CACHE,
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--loglevel',
    'error',
  ]
  const child = spawn('npm', [...args, ...missing], { stdio: 'inherit' })
  const code = await new Promise((resolve) => {
    child.once('exit', resolve).once('error', resolve)
  })
  return code === 0 ? undefined : 'npm could not install them; see the lines above'
}

async function isInstalled(peer: Peer): Promise<boolean> {
  try {
    const manifest = await readFile(join(CACHE, 'node_modules', peer.package, 'package.json'), 'utf8')
    return (JSON.parse(manifest) as { version: string }).version === peer.version
  } catch {
    return false
  }
}

/** Starts a peer in a home of its own; whether it is ready shows when it answers. */
export async function startPeer(peer: Peer, upstream: string): Promise<Measured> {
  const home = await mkdtemp(join(tmpdir(), 'castellan-peer-'))
  const port = await freePort()
  const program = join(CACHE, 'node_modules', peer.package, peer.program)
  const child = spawn(process.execPath, [program, ...(await peer.args({ port, upstream, home }))], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], HOME: home, NODE_ENV: 'production' },
  })
  endWithUs(child)
  return {
    pid: child.pid ?? 0,
    origin: `http://127.0.0.1:${port}`,
    async stop() {
      await end(child)
      await rm(home, { recursive: true, force: true })
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
