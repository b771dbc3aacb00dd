import { makeHome, removeHome, startDaemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { startTokenProxy } from '../fixtures/token-proxy.ts'
import { runServerSuite, type Requirements, type SuiteRun } from './suite.ts'

type Era = 'legacy' | 'modern'

/** Era of the client × era of the server behind the gateway. */
export interface Cell {
  readonly client: Era
  readonly server: Era
  readonly requirements: Requirements
}

const REQUIREMENTS = { legacy: '2025-11-25', modern: '2026-07-28' } as const

const cell = (client: Era, server: Era): Cell => ({ client, server, requirements: REQUIREMENTS[client] })

export const CELLS: readonly Cell[] = [
  cell('legacy', 'legacy'),
  cell('legacy', 'modern'),
  cell('modern', 'modern'),
  cell('modern', 'legacy'),
]

export const nameOf = ({ client, server }: Cell): string => `${client} client, ${server} server`

export const expectedFailuresOf = ({ client, server }: Cell): string =>
  new URL(`expected-failures-${client}-client-${server}-server.yml`, import.meta.url).pathname

const PROJECT = 'conformance'

export interface Cells {
  /** The suite against the single-server endpoint of the cell. */
  run(cell: Cell): Promise<SuiteRun>
  close(): Promise<void>
}

/** One daemon with a server of each era behind it; the cells share it and may run side by side. */
export async function openCells(): Promise<Cells> {
  const references: ReferenceServer[] = []
  const daemon = await startDaemon(await makeHome())
  for (const era of ['legacy', 'modern'] as const)
    references.push(await startReferenceServer({ legacy: era === 'legacy', modern: era === 'modern' }))
  const [legacy, modern] = references
  await daemon.apply([
    { kind: 'Server', metadata: { name: 'legacy' }, spec: { transport: 'http', url: legacy?.url } },
    { kind: 'Server', metadata: { name: 'modern' }, spec: { transport: 'http', url: modern?.url } },
    { kind: 'Project', metadata: { name: PROJECT }, spec: { servers: ['legacy', 'modern'] } },
  ])
  const proxy = await startTokenProxy(daemon.origin, await daemon.createToken(PROJECT))
  return {
    run: (of) =>
      runServerSuite(
        `${proxy.origin}/projects/${PROJECT}/servers/${of.server}/mcp`,
        of.requirements,
        expectedFailuresOf(of),
      ),
    async close() {
      await proxy.close()
      await daemon.stop()
      await removeHome(daemon.home)
      await Promise.all(references.map((reference) => reference.close()))
    },
  }
}
