import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BIN, makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { median } from './measure.ts'
import type { Part } from './part.ts'
import { rssMiB } from './processes.ts'
import { printVerdicts, table } from './report.ts'

const APPLIED = 1000
const LISTED = 5000
const TIMES = 5
const APPLY_MS = 3000

type Manifest = Readonly<Record<string, unknown>>

/** As a real set has them: secrets, servers that take their values from them, projects that attach these, tokens. */
function manifests(count: number, name: string): readonly Manifest[] {
  const of = (kind: string, i: number, metadata: object, spec: object): Manifest => ({
    apiVersion: 'castellan/v1',
    kind,
    metadata: { name: `${name}-${i}`, labels: { team: `t${i % 10}` }, ...metadata },
    spec,
  })
  const each = Math.floor(count / 4)
  return Array.from({ length: each }, (_, i) => [
    of('Secret', i, {}, { data: { key: `value-${i}` } }),
    of(
      'Server',
      i,
      {},
      {
        transport: 'http',
        url: `http://127.0.0.1:9/${i}/mcp`,
        headers: [{ name: 'X-Key', valueFrom: { secretRef: { name: `${name}-${i}`, key: 'key' } } }],
      },
    ),
    of('Project', i, {}, { servers: [`${name}-${i}`, `${name}-${(i + 1) % each}`] }),
    of('Token', i, { project: `${name}-${i}` }, { ttl: '30d' }),
  ]).flat()
}

/**
 * How long `apply` takes for 1,000 resources on SQLite (made, then looked at again without a change, then all changed),
 * and what `castellan get` of 5,000 holds in memory, beside one of a few. Milliseconds and MiB.
 */
export const applying: Part = async ({ withCastellan, quick }) => {
  if (!withCastellan) return {}
  const home = await makeHome()
  const daemon = await startDaemon(home)
  try {
    const made: number[] = []
    const same: number[] = []
    const changed: number[] = []
    for (let i = 0; i < (quick ? 1 : TIMES); i += 1) {
      const all = manifests(APPLIED, `set${i}`)
      made.push(await timed(daemon, all))
      same.push(await timed(daemon, all))
      changed.push(
        await timed(
          daemon,
          all.map((one) => relabelled(one)),
        ),
      )
    }
    const few = await peakOfGet(home, ['get', 'servers', '-l', 'team=none'])
    const servers = manifests(LISTED * 4, 'listed').filter(
      ({ kind }) => kind === 'Server' || kind === 'Secret',
    )
    for (let from = 0; from < servers.length; from += 2000)
      await timed(daemon, servers.slice(from, from + 2000))
    const many = await peakOfGet(home, ['get', 'servers', '-o', 'yaml'])
    const figures = {
      'apply of 1000 new, ms': median(made),
      'apply of 1000 unchanged, ms': median(same),
      'apply of 1000 changed, ms': median(changed),
      'get of none, peak MiB': few,
      'get of 5000, peak MiB': many,
      'daemon after it, MiB': await rssMiB(daemon.pid),
    }
    console.log(table(Object.entries(figures).map(([what, value]) => [what, value.toFixed(0)])))
    printVerdicts([
      { what: 'apply of 1000 new, ms', measured: median(made), bound: APPLY_MS, better: 'lower', digits: 0 },
      { what: 'get of 5000: MiB beside none', measured: many - few, bound: 30, better: 'lower', digits: 0 },
    ])
    return { apply: figures }
  } finally {
    await daemon.stop()
    await removeHome(home)
  }
}

const relabelled = (manifest: Manifest): Manifest => ({
  ...manifest,
  metadata: { ...(manifest['metadata'] as object), labels: { team: 'other' } },
})

async function timed(daemon: Daemon, all: readonly Manifest[]): Promise<number> {
  const began = performance.now()
  await daemon.apply(all)
  return performance.now() - began
}

/** The highest resident memory of a `castellan get` that is read slowly. */
async function peakOfGet(home: string, argv: readonly string[]): Promise<number> {
  const env = { ...process.env, CASTELLAN_HOME: home }
  const child = spawn(process.execPath, [BIN, ...argv], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let peak = 0
  const ended = once(child, 'close')
  const reading = (async () => {
    for await (const chunk of child.stdout) {
      void chunk
      peak = Math.max(peak, await peakMiB(child.pid ?? 0))
      await sleep(2)
    }
  })()
  await Promise.all([ended, reading])
  return peak
}

/** `VmHWM` of Linux; 0 where the process is gone. */
async function peakMiB(pid: number): Promise<number> {
  const status = await readFile(join('/proc', String(pid), 'status'), 'utf8').catch(() => '')
  return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1] ?? 0) / 1024
}
