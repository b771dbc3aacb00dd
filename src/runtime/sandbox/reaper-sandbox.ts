import { spawn, type ChildProcess } from 'node:child_process'
import { err, ok, type Result } from '../../lib/result.ts'
import { limitedArgv } from '../process/limits.ts'
import { type ReadProcesses, treeOf } from '../process/process-table.ts'
import type { InstanceSpec } from '../runtime.ts'
import { searchPath, serverEnvironment } from './environment.ts'
import { locateCommand } from './locate-command.ts'
import { isWithin, kindOf, realPath } from './paths.ts'
import type { Reaper } from './reaper.ts'
import type { Confined, Sandbox } from './sandbox.ts'
import { makeServerFolders } from './server-folders.ts'

/** Waits for a line on descriptor 3, which comes once the reaper knows this group; ends if the daemon is gone. */
const WAIT = 'read -r go <&3 || exit 125\nexec 3<&-\n'

export interface ReaperDeps {
  /** Real path of the Castellan home. */
  readonly castellanHome: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly reaper: Reaper
  readonly processes: ReadProcesses
}

/** Without namespaces: files of the user can be read, but nothing outlives the daemon and the environment is minimal. */
export function createReaperSandbox(deps: ReaperDeps): Sandbox {
  return {
    kind: 'reaper',
    confine: async (spec) => {
      const started = await startGrouped(deps, spec)
      return started.ok ? ok(confinedBy(deps, started.value)) : started
    },
    close: async () => deps.reaper.close(),
  }
}

async function startGrouped(deps: ReaperDeps, spec: InstanceSpec): Promise<Result<ChildProcess, string>> {
  const folders = await makeServerFolders(deps.castellanHome, spec.server)
  const cwd = realPath(spec.cwd ?? folders.home)
  if (cwd === undefined)
    return err('spec.cwd does not exist; make it, or take it out to use the server’s own home')
  if (kindOf(cwd) !== 'directory') return err('spec.cwd is not a directory')
  if (spec.cwd !== undefined && isWithin(cwd, deps.castellanHome)) {
    return err('spec.cwd lies in the home of Castellan, which no server may see')
  }
  const env = serverEnvironment({ daemon: deps.env, home: folders.home, tmp: folders.tmp, added: spec.env })
  const program = locateCommand(spec.command, searchPath(env), cwd)
  if (!program.ok) return program
  const [shell = '/bin/sh', option = '-c', script = '', ...rest] = limitedArgv(
    spec.memoryMiB,
    program.value,
    spec.args,
  )
  return ok(
    spawn(shell, [option, WAIT + script, ...rest], {
      env,
      cwd,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    }),
  )
}

function confinedBy({ reaper, processes }: ReaperDeps, child: ChildProcess): Confined {
  const group = child.pid
  const go = child.stdio[3]
  if (group !== undefined && go !== null && go !== undefined && 'end' in go) {
    reaper.guard(group)
    go.on('error', () => undefined)
    go.end('go\n')
  }
  const signalGroup = (name: NodeJS.Signals): void => {
    try {
      if (group !== undefined) process.kill(-group, name)
    } catch {
      // Nobody is left in it: that is what was wanted.
    }
  }
  return {
    child,
    hidesArgument: false,
    signal: async (name) => {
      const tree = group === undefined || name === 'SIGTERM' ? [] : treeOf(await processes(), group)
      signalGroup(name)
      // Those that have made a group of their own; nobody but their parent knows them.
      for (const row of tree) if (row.group !== group) killOne(row.pid)
    },
    verdict: (code, signal) =>
      signal === null ? { how: 'code', code: code ?? 0 } : { how: 'signal', signal },
    sweep: () => {
      signalGroup('SIGKILL')
      if (group !== undefined) reaper.release(group)
    },
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already: that is what was wanted.
  }
}
