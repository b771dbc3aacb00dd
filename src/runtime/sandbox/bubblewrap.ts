import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { promisify } from 'node:util'
import type { Layer } from './view.ts'

const run = promisify(execFile)
const PROBE_TIMEOUT_MS = 5000

export interface Bubblewrap {
  readonly program: string
  /** Whether it knows `--size`, which bounds what a server can put into memory through `/tmp` (0.8 and later). */
  readonly sizes: boolean
}

/** Namespaces, capabilities and lifetime: the same for every server. The host's network stays, for servers call APIs. */
const CONFINE = [
  '--die-with-parent',
  '--new-session',
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--cap-drop',
  'ALL',
]
const ROOT = ['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc']

/** Tries it with what every start uses. @returns undefined and why, where it is missing or the kernel refuses. */
export async function probeBubblewrap(
  program: string,
): Promise<{ readonly found: Bubblewrap | undefined; readonly reason: string }> {
  let reason = ''
  for (const sizes of [true, false]) {
    try {
      const args = [...ROOT, ...scratchArgs('/tmp', sizes ? 1 << 20 : 0), ...CONFINE, '/bin/sh', '-c', ':']
      await run(program, args, { timeout: PROBE_TIMEOUT_MS, env: {} })
      return { found: { program, sizes }, reason: '' }
    } catch (cause) {
      reason = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : 'it did not run'
    }
  }
  return { found: undefined, reason }
}

function scratchArgs(path: string, bytes: number): readonly string[] {
  return [...(bytes > 0 ? ['--size', String(bytes)] : []), '--perms', '1777', '--tmpfs', path]
}

function layerArgs(layer: Layer, scratchBytes: number): readonly string[] {
  switch (layer.kind) {
    case 'scratch':
      return scratchArgs(layer.path, scratchBytes)
    case 'shadow':
      return layer.of === 'directory'
        ? ['--perms', '0755', '--tmpfs', layer.path]
        : ['--ro-bind', '/dev/null', layer.path]
    case 'home':
      return ['--bind', layer.source, layer.path]
    case 'host':
      return [layer.write ? '--bind' : '--ro-bind', layer.source, layer.path]
    default:
      return layer satisfies never
  }
}

export interface BubblewrapStart {
  readonly layers: readonly Layer[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly argv: readonly string[]
  /** Bound of each private file system in memory. */
  readonly scratchBytes: number
}

/**
 * Starts a program inside. Options and environment travel through a pipe (`--args`): a value is never in an argument
 * list, and what it says (`LD_PRELOAD`) is not obeyed by bubblewrap itself, which runs outside.
 * File descriptor 4 of the child reports what bubblewrap did, one JSON object a line.
 */
export function spawnBubblewrap(bubblewrap: Bubblewrap, start: BubblewrapStart): ChildProcess {
  const bytes = bubblewrap.sizes ? start.scratchBytes : 0
  const shadows = start.layers.filter((layer) => layer.kind === 'shadow' && layer.of === 'directory')
  const options = [
    ...ROOT,
    ...scratchArgs('/dev/shm', bytes),
    ...start.layers.flatMap((layer) => layerArgs(layer, bytes)),
    ...shadows.flatMap((layer) => ['--remount-ro', layer.path]),
    ...CONFINE,
    '--json-status-fd',
    '4',
    '--chdir',
    start.cwd,
    ...Object.entries(start.env).flatMap(([name, value]) => ['--setenv', name, value]),
  ]
  const child = spawn(bubblewrap.program, ['--args', '3', '--', ...start.argv], {
    env: {},
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  const input = child.stdio[3]
  if (input !== null && input !== undefined && 'end' in input) {
    // The child may die before it has read all of this; its exit is reported elsewhere.
    input.on('error', () => undefined)
    input.end(options.map((option) => `${option}\0`).join(''))
  }
  return child
}
