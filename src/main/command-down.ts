import { setTimeout as sleep } from 'node:timers/promises'
import { callApi } from '../cli/api.ts'
import { printLines, type CliContext } from '../cli/context.ts'
import { defineCommand, flag } from '../cli/define-command.ts'
import { CliFailure, unavailable } from '../cli/failure.ts'
import { homeOf, isAlive, readDaemonRecord, resolveTarget } from '../cli/target.ts'
import { isHomeLocked } from './home-lock.ts'

/** A daemon lets running calls end before it goes. */
const GRACE_MS = 30_000
const POLL_MS = 50

export const down = defineCommand({
  options: { force: flag('--force', 'if it does not end by itself, kill it') },
  globals: ['home'],
  about:
    'Running calls may end first. Always about the daemon of this home, whatever CASTELLAN_URL and the contexts say.',
  examples: ['castellan down', 'castellan down --home /srv/castellan'],
  async run({ options: { force }, home: given, context }) {
    const home = homeOf(context, given)
    if (!isHomeLocked(home)) {
      printLines(context.stdout, [`no daemon is running for the home ${home}`])
      return 0
    }
    const { pid, drainSeconds = 0, role } = readDaemonRecord(home) ?? {}
    // Twice: until it is noticed, and for what is under way then.
    const graceMs = GRACE_MS + 2 * 1000 * drainSeconds
    const refused = role === 'gateway' ? signal(home, pid, 'SIGTERM') : await askToStop(home, context)
    if (refused === undefined && (await untilUnlocked(home, graceMs))) {
      printLines(context.stdout, ['the daemon has stopped'])
      return 0
    }
    if (!force) throw refused ?? stillRunning()
    await kill(home, pid)
    printLines(context.stdout, ['the daemon was killed'])
    return 0
  },
})

async function askToStop(home: string, context: CliContext): Promise<CliFailure | undefined> {
  try {
    // The admin credential of the home, not what the environment names for other daemons.
    const env = { ...context.env, CASTELLAN_URL: undefined, CASTELLAN_TOKEN: undefined }
    await callApi(resolveTarget({ ...context, env }, { home }), ['shutdown'], { method: 'POST' })
    return undefined
  } catch (error) {
    if (error instanceof CliFailure)
      return new CliFailure({ ...error.body, hint: 'to end it all the same: castellan down --force' }, error)
    throw error
  }
}

async function kill(home: string, pid: number | undefined): Promise<void> {
  const unknown = signal(home, pid, 'SIGKILL')
  if (unknown !== undefined) throw unknown
  if (!(await untilUnlocked(home, GRACE_MS))) throw stillRunning()
}

/** An edge gateway knows no administrator, so that it is told by a signal only. */
function signal(home: string, pid: number | undefined, name: 'SIGTERM' | 'SIGKILL'): CliFailure | undefined {
  // A pid alone proves nothing, since numbers are used again: the lock says that its daemon lives.
  if (pid === undefined || !isAlive(pid) || !isHomeLocked(home))
    return unavailable('it is not known which process to end', 'look for a castellan process, or try again')
  process.kill(pid, name)
  return undefined
}

const stillRunning = (): CliFailure =>
  unavailable('the daemon is still running', 'calls may be ending; wait, or run: castellan down --force')

async function untilUnlocked(home: string, withinMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < withinMs; waitedMs += POLL_MS) {
    if (!isHomeLocked(home)) return true
    await sleep(POLL_MS)
  }
  return false
}
