import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { startTokenProxy, type TokenProxy } from '../fixtures/token-proxy.ts'
import { runSuite, type Requirements } from './suite.ts'

/** The two same-era cells: client and server both legacy, client and server both modern. */
const CELLS: readonly { requirements: Requirements; server: string; legacy: boolean }[] = [
  { requirements: '2025-11-25', server: 'legacy', legacy: true },
  { requirements: '2026-07-28', server: 'modern', legacy: false },
]
const PROJECT = 'conformance'

const references: ReferenceServer[] = []
let daemon: Daemon
let proxy: TokenProxy

beforeAll(async () => {
  daemon = await startDaemon(await makeHome())
  const servers: object[] = []
  for (const { server, legacy } of CELLS) {
    const reference = await startReferenceServer({ legacy, modern: !legacy })
    references.push(reference)
    servers.push({
      kind: 'Server',
      metadata: { name: server },
      spec: { transport: 'http', url: reference.url },
    })
  }
  const project = {
    kind: 'Project',
    metadata: { name: PROJECT },
    spec: { servers: CELLS.map(({ server }) => server) },
  }
  await daemon.apply([...servers, project])
  proxy = await startTokenProxy(daemon.origin, await daemon.createToken(PROJECT))
})

afterAll(async () => {
  await proxy?.close()
  await daemon?.stop()
  if (daemon !== undefined) await removeHome(daemon.home)
  await Promise.all(references.map((reference) => reference.close()))
})

test.each(CELLS)(
  'the gateway meets $requirements in front of a $server server',
  async ({ requirements, server }) => {
    const url = `${proxy.origin}/projects/${PROJECT}/servers/${server}/mcp`
    const expected = new URL(`expected-failures-${requirements}.yml`, import.meta.url).pathname
    const { code, summary } = await runSuite(url, requirements, expected)
    expect(code, summary).toBe(0)
  },
  300_000,
)
