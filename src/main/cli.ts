import { homedir } from 'node:os'
import { runCli } from '../cli/run-cli.ts'
import { COMMANDS } from './commands.ts'
import { stopOnSignals } from './stop-signals.ts'
import { buildInfo } from './version.ts'

// `castellan get … | head` closes the pipe early: that is an end, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

// A command that stops waiting without an answer is a bug, and must not look like success.
process.exitCode = 70
process.exitCode = await runCli(
  process.argv.slice(2),
  {
    stdout: process.stdout,
    stderr: process.stderr,
    get stdin() {
      return process.stdin
    },
    env: process.env,
    cwd: process.cwd(),
    userHome: homedir(),
    version: buildInfo,
    stopped: abortedBySignals,
  },
  COMMANDS,
)

function abortedBySignals(): AbortSignal {
  const stopped = new AbortController()
  stopOnSignals().stopWith(async () => stopped.abort())
  return stopped.signal
}
