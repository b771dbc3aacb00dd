import type { Era } from '../src/protocol/revisions.ts'
import { prepare } from './client.ts'
import { measure, type Cell, type Figures } from './measure.ts'
import type { Part } from './part.ts'
import { printDoubts, printVerdicts, table, type Verdict } from './report.ts'
import { castellanEndpoint, openStand, serverName, type Stand } from './stand.ts'

/** Client and server of each cell. */
const SAME: readonly (readonly [Era, Era])[] = [
  ['legacy', 'legacy'],
  ['modern', 'modern'],
]
const BRIDGED: readonly (readonly [Era, Era])[] = [
  ['legacy', 'modern'],
  ['modern', 'legacy'],
]
/** A principal may have 32 calls parked, and one that is taken up lets go of its place a moment later. */
const CONNECTIONS = { call: 32, asking: 16 } as const
type LoadName = keyof typeof CONNECTIONS

const nameOf = (load: LoadName, client: Era, server: Era): string =>
  `${client} client, ${server} server${load === 'asking' ? ', asked once' : ''}`

async function cellOf(
  { daemon, tokens }: NonNullable<Stand['castellan']>,
  load: LoadName,
  [client, server]: readonly [Era, Era],
): Promise<Cell> {
  const project = `${load}-${server}`
  const endpoint = { ...castellanEndpoint({ daemon, tokens }, project, client), asks: load === 'asking' }
  const prepared = await prepare(endpoint, CONNECTIONS[load], `${serverName(project, 'null')}__echo`)
  return { name: nameOf(load, client, server), prepared, connections: CONNECTIONS[load], pid: daemon.pid }
}

/** CPU of a bridged cell, as a multiple of the call whose client, or whose server, is of the same era. */
function ratios(
  figures: ReadonlyMap<string, Figures>,
  load: LoadName,
  [client, server]: readonly [Era, Era],
) {
  const cpu = (one: Era, other: Era): number => figures.get(nameOf(load, one, other))?.cpuUs ?? NaN
  const it = cpu(client, server)
  return { ofClient: it / cpu(client, client), ofServer: it / cpu(server, server) }
}

function rowsOf(figures: ReadonlyMap<string, Figures>): string[][] {
  return (['call', 'asking'] as const).flatMap((load) =>
    [...SAME, ...BRIDGED].map(([client, server]) => {
      const name = nameOf(load, client, server)
      const it = figures.get(name)
      const { ofClient, ofServer } = ratios(figures, load, [client, server])
      // oxfmt-ignore
      return [
        name, it?.perSecond.toFixed(0) ?? '-', it?.p50.toFixed(2) ?? '-', it?.p99.toFixed(2) ?? '-',
        it?.cpuUs.toFixed(0) ?? '-', ofClient.toFixed(2), ofServer.toFixed(2), String(it?.failed ?? '-'),
      ]
    }),
  )
}

function judge(figures: ReadonlyMap<string, Figures>): Verdict[] {
  return (['call', 'asking'] as const).flatMap((load) =>
    BRIDGED.map((pair) => {
      const { ofClient, ofServer } = ratios(figures, load, pair)
      const what = `CPU, × the cheaper match: ${nameOf(load, ...pair)}`
      const measured = Math.max(ofClient, ofServer)
      return load === 'call' ? { what, measured, bound: 1.5, better: 'lower' } : { what, measured }
    }),
  )
}

// oxfmt-ignore
const HEADER = ['combination', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs', '× client’s era', '× server’s era', 'failed']

/** What it costs when client and server are not of one era, against calls between those that are. */
export const bridge: Part = async ({ load, timing }) => {
  const stand = await openStand(true)
  try {
    const { castellan } = stand
    if (castellan === undefined) throw new Error('the bridge is Castellan')
    const cells: Cell[] = []
    for (const name of ['call', 'asking'] as const)
      for (const pair of [...SAME, ...BRIDGED]) cells.push(await cellOf(castellan, name, pair))
    const figures = await measure(load, cells, timing)
    console.log(table([HEADER, ...rowsOf(figures)]))
    printVerdicts(judge(figures))
    printDoubts(figures)
    return { bridge: Object.fromEntries(figures) }
  } finally {
    await stand.close()
  }
}
