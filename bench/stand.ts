import type { Era } from '../src/protocol/revisions.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import type { Endpoint } from './client.ts'
import { startProgram, type Measured } from './processes.ts'

/** All processes of one measurement, for both eras. */
export interface Stand {
  readonly upstream: Readonly<Record<Era, Measured>>
  readonly floor: Readonly<Record<Era, Measured>>
  /** Absent with `--without-castellan`. */
  readonly castellan: { readonly daemon: Daemon; readonly tokens: ReadonlyMap<string, string> } | undefined
  close(): Promise<void>
}

/** Paths of the null upstream, and the project that stands before each. */
export const LOADS = { call: '/mcp', slow: '/slow/mcp', asking: '/asking/mcp' } as const
export type LoadName = keyof typeof LOADS

const WIDE_SERVERS = 50
const WIDE_TOOLS = 40

export async function openStand(withCastellan: boolean): Promise<Stand> {
  const upstream = {
    legacy: await startProgram('null-upstream.ts', ['--era', 'legacy']),
    modern: await startProgram('null-upstream.ts', ['--era', 'modern']),
  }
  const floor = {
    legacy: await startProgram('floor-proxy.ts', ['--upstream', upstream.legacy.origin]),
    modern: await startProgram('floor-proxy.ts', ['--upstream', upstream.modern.origin]),
  }
  const castellan = withCastellan ? await openCastellan(upstream) : undefined
  return {
    upstream,
    floor,
    castellan,
    async close() {
      await castellan?.daemon.stop()
      if (castellan !== undefined) await removeHome(castellan.daemon.home)
      const rest = [floor.legacy, floor.modern, upstream.legacy, upstream.modern]
      await Promise.all(rest.map((one) => one.stop()))
    },
  }
}

async function openCastellan(upstream: Stand['upstream']) {
  const daemon = await startDaemon(await makeHome())
  const tokens = new Map<string, string>()
  for (const era of ['legacy', 'modern'] as const) {
    for (const load of Object.keys(LOADS) as LoadName[]) {
      const url = upstream[era].origin + LOADS[load]
      tokens.set(`${load}-${era}`, await addProject(daemon, `${load}-${era}`, { null: url }))
    }
    const urls = Object.fromEntries(
      Array.from({ length: WIDE_SERVERS }, (_, i) => [
        `wide-${i}`,
        `${upstream[era].origin}/many/${WIDE_TOOLS}/${i}/mcp`,
      ]),
    )
    tokens.set(`wide-${era}`, await addProject(daemon, `wide-${era}`, urls))
  }
  return { daemon, tokens }
}

/**
 * A project with the given servers (their URLs, or their specs), an allow list and a token, as its user would have them. Server names are global
 * and the prefix of their tools, so each project's carry its name, but for the one called `null`.
 */
export async function addProject(
  daemon: Daemon,
  project: string,
  servers: Readonly<Record<string, string | object>>,
): Promise<string> {
  const named = Object.entries(servers).map(([name, what]) => [serverName(project, name), what] as const)
  await daemon.apply([
    ...named.map(([name, what]) => ({
      kind: 'Server',
      metadata: { name },
      spec: typeof what === 'string' ? { transport: 'http', url: what } : what,
    })),
    {
      kind: 'Project',
      metadata: { name: project },
      spec: { servers: named.map(([name]) => name), tools: { allow: named.map(([name]) => `${name}__*`) } },
    },
  ])
  return daemon.createToken(project)
}

export const serverName = (project: string, name: string): string => `${name}-${project}`

/** The three contestants' endpoints for one load and era, with the name that the tool has there. */
export function contestants(stand: Stand, load: LoadName, era: Era) {
  const path = LOADS[load]
  const list: { name: string; pid: number; endpoint: Endpoint; tool: string }[] = [
    {
      name: 'direct',
      pid: stand.upstream[era].pid,
      endpoint: { url: stand.upstream[era].origin + path, era },
      tool: 'echo',
    },
    {
      name: 'floor',
      pid: stand.floor[era].pid,
      endpoint: { url: stand.floor[era].origin + path, era },
      tool: 'null__echo',
    },
  ]
  const project = `${load}-${era}`
  if (stand.castellan !== undefined)
    list.push({
      name: 'castellan',
      pid: stand.castellan.daemon.pid,
      endpoint: castellanEndpoint(stand.castellan, project, era),
      tool: `${serverName(project, 'null')}__echo`,
    })
  return list
}

export const castellanEndpoint = (
  { daemon, tokens }: NonNullable<Stand['castellan']>,
  project: string,
  era: Era,
): Endpoint => ({ url: `${daemon.origin}/projects/${project}/mcp`, era, token: tokens.get(project) })
