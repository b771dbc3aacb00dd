import { spawn, type ChildProcess } from 'node:child_process'
import type { Log } from '../../lib/log.ts'

/**
 * Told the process groups of the servers, kills those that are left when its standard input ends: the kernel closes
 * that pipe whatever way the daemon dies. Before a group, what descends from its leader: a child may have made a
 * group of its own.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM
groups=
while read -r verb group; do
  case $verb in
    guard) groups="$groups $group" ;;
    release)
      kept=
      for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done
      groups=$kept ;;
  esac
done
for each in $groups; do
  below=$(ps -A -o pid= -o ppid= 2>/dev/null | awk -v top="$each" '
    { parent[$1] = $2 }
    END { for (pid in parent) { at = pid; for (n = 0; at in parent && at != top && n < 64; n++) at = parent[at]; if (at == top) print pid } }')
  kill -KILL "-$each" 2>/dev/null
  for pid in $below; do kill -KILL "$pid" 2>/dev/null; done
done
`

export interface Reaper {
  /** From now on the group dies with the daemon. */
  guard(group: number): void
  release(group: number): void
  close(): Promise<void>
}

/** One for the daemon, in a session of its own so that no signal to the daemon's group reaches it; replaced if it dies. */
export function createReaper(log: Log): Reaper {
  const groups = new Set<number>()
  let closing = false
  let child = launch()

  function launch(): ChildProcess {
    const started = spawn('/bin/sh', ['-c', SCRIPT], {
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    started.stdin?.on('error', () => undefined)
    started.once('error', (cause) =>
      log.error({ err: cause }, 'the process that reaps servers cannot be started'),
    )
    started.once('exit', () => {
      if (closing) return
      log.warn('the process that reaps servers ended; a new one takes over')
      child = launch()
      for (const group of groups) child.stdin?.write(`guard ${group}\n`)
    })
    return started
  }

  return {
    guard: (group) => {
      groups.add(group)
      child.stdin?.write(`guard ${group}\n`)
    },
    release: (group) => {
      if (groups.delete(group)) child.stdin?.write(`release ${group}\n`)
    },
    close: async () => {
      closing = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.stdin?.end()
      await gone
    },
  }
}
