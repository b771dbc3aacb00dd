import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { modernCaller, namesIn, until } from '../e2e/gateway-harness.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { startModelStub, type ModelStub } from './model-stub.ts'

const MODULES = new URL('../../node_modules/', import.meta.url).pathname
export const PROJECT = 'agents'

/** What the agents play on: a daemon, servers of either era behind it, and a scripted model. */
export interface Stage {
  /** Changes when the daemon is started again. */
  daemon: Daemon
  readonly token: string
  readonly stub: ModelStub
  close(): Promise<void>
}

const http = (name: string, { url }: ReferenceServer, more: object = {}): object => ({
  kind: 'Server',
  metadata: { name },
  spec: Object.assign({ transport: 'http', url }, more),
})

export async function openStage(): Promise<Stage> {
  const daemon = await startDaemon(await makeHome())
  const [old, modern] = await Promise.all([
    startReferenceServer({ modern: false }),
    startReferenceServer({ legacy: false }),
  ])
  await daemon.apply([
    {
      kind: 'Server',
      metadata: { name: 'everything' },
      spec: {
        transport: 'stdio',
        command: process.execPath,
        args: [`${MODULES}@modelcontextprotocol/server-everything/dist/index.js`, 'stdio'],
        mounts: [{ path: MODULES.replace(/\/$/, '') }],
      },
    },
    http('old', old),
    http('new', modern),
    http('mine', old, { auth: { grant: 'mcp:mine', whose: 'per-user' } }),
    { kind: 'Project', metadata: { name: PROJECT }, spec: { servers: ['everything', 'old', 'new', 'mine'] } },
  ])
  const token = await daemon.createToken(PROJECT)
  await untilListed(`${daemon.origin}/projects/${PROJECT}/mcp`, token)
  const stub = await startModelStub({
    // On the same port, as a service that is started again: agents at an address know no other.
    restart: async () => {
      const { home, origin } = stage.daemon
      await stage.daemon.stop()
      stage.daemon = await startDaemon(home, Number(new URL(origin).port))
    },
  })
  const stage: Stage = {
    daemon,
    token,
    stub,
    async close() {
      await stub.close()
      await stage.daemon.stop()
      await Promise.all([old.close(), modern.close()])
      await removeHome(stage.daemon.home)
    },
  }
  return stage
}

/** Claude Code gives its model the first turn after a moment, with the tools that have come by then. */
async function untilListed(url: string, token: string): Promise<void> {
  const caller = modernCaller({ url, token })
  await until('the tools of all servers are listed', async () => {
    const names = namesIn(await caller.ask('tools/list'))
    return ['everything__', 'old__', 'new__', 'mine__'].every((prefix) =>
      names.some((name) => name.startsWith(prefix)),
    )
  })
}

/** How many `tools/call` the record holds. */
export async function countCalls({ daemon }: Stage): Promise<number> {
  const answer = await daemon.call('GET', `/api/v1/audit?project=${PROJECT}&limit=1000&output=json`)
  const rows = (Array.isArray(answer) ? answer : (answer as { items?: unknown[] }).items) as {
    event?: string
  }[]
  return rows.filter((row) => row.event === 'tools/call').length
}

/** How many requests of a kind the daemon has had since it was started. */
export async function countRequests({ daemon }: Stage, kind: string): Promise<number> {
  const credential = (await readFile(join(daemon.home, 'admin-credential'), 'utf8')).trim()
  const answer = await fetch(`${daemon.origin}/metrics`, {
    headers: { authorization: `Bearer ${credential}` },
  })
  const lines = (await answer.text()).split('\n')
  const wanted = lines.filter((line) => line.startsWith(`castellan_mcp_requests_total{kind="${kind}"`))
  return wanted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
