import type { ChildProcess } from 'node:child_process'
import { isAbsolute, resolve } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import { limitedArgv } from '../process/limits.ts'
import { type ReadProcesses, treeOf } from '../process/process-table.ts'
import type { InstanceSpec } from '../runtime.ts'
import { type Bubblewrap, type BubblewrapStart, spawnBubblewrap } from './bubblewrap.ts'
import { searchPath, serverEnvironment, trustFiles } from './environment.ts'
import type { Host } from './host.ts'
import { locateCommand } from './locate-command.ts'
import { isWithin, kindOf } from './paths.ts'
import { openProgram, planView } from './plan-view.ts'
import type { Confined, Sandbox, Verdict } from './sandbox.ts'
import { makeMountPoint, makeServerFolders } from './server-folders.ts'
import type { View } from './view.ts'

const MIB = 1 << 20
/** Status of a shell for a child that a signal ended: 128 and the number of the signal. */
const SIGNALLED = 128

export interface BubblewrapDeps {
  readonly bubblewrap: Bubblewrap
  readonly host: Host
  readonly env: Readonly<Record<string, string | undefined>>
  readonly processes: ReadProcesses
}

/** Namespaces of its own, the home masked, gone with the daemon by the kernel's doing. */
export function createBubblewrapSandbox(deps: BubblewrapDeps): Sandbox {
  return {
    kind: 'bubblewrap',
    confine: async (spec) => {
      const planned = await planStart(deps, spec)
      if (!planned.ok) return planned
      const { start, hidesArgument } = planned.value
      return ok(confinedBy(spawnBubblewrap(deps.bubblewrap, start), deps.processes, hidesArgument))
    },
    close: async () => undefined,
  }
}

async function planStart(
  { host, env: daemon }: BubblewrapDeps,
  spec: InstanceSpec,
): Promise<Result<{ readonly start: BubblewrapStart; readonly hidesArgument: boolean }, string>> {
  const folders = await makeServerFolders(host.castellanHome, spec.server)
  const planned = planView(host, spec, folders.home)
  if (!planned.ok) return planned
  const { view, cwd } = planned.value
  const env = serverEnvironment({ daemon, home: host.insideHome, tmp: '/tmp', added: spec.env })
  const path = searchPath(env)
  const program = locateCommand(spec.command, path, cwd)
  if (!program.ok) return program
  const opened = openProgram(view, host, program.value, { path, cwd, trust: trustFiles(env) })
  if (!opened.ok) return err(opened.error)
  makePoints(view, host, folders.home)
  return ok({
    start: {
      layers: view.layers(),
      cwd,
      env,
      argv: limitedArgv(spec.memoryMiB, program.value, spec.args),
      scratchBytes: spec.memoryMiB * MIB,
    },
    hidesArgument: spec.args.some((arg) => isHiddenFile(view, cwd, arg)),
  })
}

function makePoints(view: View, host: Host, serverHome: string): void {
  for (const layer of view.layers()) {
    if (layer.path === host.insideHome || !isWithin(layer.path, host.insideHome)) continue
    // What a mount of the home itself shows has the place already; only the private home lacks it.
    if (view.over(host.insideHome)?.kind !== 'home') continue
    const inside = serverHome + layer.path.slice(host.insideHome.length)
    const directory = layer.kind !== 'host' || kindOf(layer.source) === 'directory'
    makeMountPoint(serverHome, inside, directory ? 'directory' : 'file')
  }
}

/** `/home/me/x`, `--config=/home/me/x` or, where a working directory is given, `./x`. */
function isHiddenFile(view: View, cwd: string, arg: string): boolean {
  const value = arg.startsWith('-') ? arg.slice(arg.indexOf('=') + 1) : arg
  if (value === '' || value.length > 4096 || value.includes('\n')) return false
  if (!isAbsolute(value) && !value.includes('/')) return false
  const path = resolve(cwd, value)
  return kindOf(path) !== undefined && !view.shows(path)
}

/** What `--json-status-fd` said: the pid of the sandbox's own init, and the status of the server. */
interface Report {
  init?: number
  code?: number
}

function confinedBy(child: ChildProcess, processes: ReadProcesses, hidesArgument: boolean): Confined {
  const report = readReport(child)
  const kill = (pid: number | undefined, name: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(pid, name)
    } catch {
      // Gone already: that is what was wanted.
    }
  }
  return {
    child,
    hidesArgument,
    signal: async (name) => {
      if (name === 'SIGKILL' || child.pid === undefined) {
        // bubblewrap and its init are one life (`--die-with-parent`), and init is that of every process inside.
        child.kill('SIGKILL')
        return
      }
      const own = new Set([child.pid, report.init])
      for (const { pid } of treeOf(await processes(), child.pid)) {
        if (child.exitCode === null && child.signalCode === null && !own.has(pid)) kill(pid, name)
      }
    },
    verdict: (code, signal) => verdict(report, code, signal),
    sweep: () => undefined,
  }
}

function readReport(child: ChildProcess): Report {
  const report: Report = {}
  let text = ''
  const stream = child.stdio[4]
  if (stream === null || stream === undefined || !('on' in stream)) return report
  stream.on('error', () => undefined)
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    const init = /"child-pid": *(\d+)/.exec(text)?.[1]
    const code = /"exit-code": *(\d+)/.exec(text)?.[1]
    if (init !== undefined) report.init = Number(init)
    if (code !== undefined) report.code = Number(code)
  })
  return report
}

function verdict(report: Report, code: number | null, signal: NodeJS.Signals | null): Verdict {
  if (signal !== null) return { how: 'signal', signal }
  if (report.code === undefined) return { how: 'never-ran' }
  const status = report.code === 0 ? (code ?? 0) : report.code
  return status > SIGNALLED && status <= SIGNALLED + 64
    ? { how: 'signal', signal: `signal ${status - SIGNALLED}` }
    : { how: 'code', code: status }
}
