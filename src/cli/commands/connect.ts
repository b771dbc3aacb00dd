import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemClock } from '../../lib/clock.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { Bridge } from '../connect/bridge.ts'
import { ClientPipe } from '../connect/client-pipe.ts'
import { createDaemon } from '../connect/daemon.ts'
import { MAX_MESSAGE_BYTES } from '../connect/exchange.ts'
import { readLines } from '../connect/read-lines.ts'
import type { CliContext } from '../context.ts'
import { defineCommand, text, type Given, type Options } from '../define-command.ts'
import { CliFailure, usage } from '../failure.ts'
import type { Target } from '../target.ts'

/** For calls that run when the client has closed the pipe, and when the process was asked to end. */
const GRACE_MS = 60_000
const GRACE_AFTER_SIGNAL_MS = 1000

export const connect = defineCommand({
  arguments: ['<project>'],
  complete: [{ namesOf: 'projects' }],
  options: {
    server: text('--server <name>', 'this server of the project alone, with its own names', 'servers'),
    url: text('--url <url>', 'the daemon (default: that of the context, or of the home)'),
    tokenFile: text(
      '--token-file <file>',
      'a file with the token (default: CASTELLAN_TOKEN, else your own sign-in)',
    ),
  },
  globals: ['context', 'home'],
  about:
    'For clients that start their MCP servers as programs: speaks MCP on standard input and output, in the revision of the client, and carries it to the daemon, over restarts of the daemon too. Without a token the client acts as you: who is signed in to the context, or the administrator of the home. With one it has a name of its own in the record, and reaches its project only.',
  examples: [
    'castellan connect demo',
    'castellan connect demo --server everything --token-file ~/.castellan-laptop.token',
    'claude mcp add castellan -- castellan connect demo --token-file ~/.castellan-laptop.token',
    '# claude_desktop_config.json:',
    '{"mcpServers": {"castellan": {"command": "castellan", "args": ["connect", "demo"]}}}',
  ],
  async run({ args: [project = ''], options, globals, locate, context }) {
    const daemon = createDaemon(
      locator(options, { globals, locate }, context),
      endpointPath(project, options.server),
    )
    const pipe = new ClientPipe(context.stdout, context.stderr)
    if (context.stdin.isTTY === true)
      pipe.note(
        'speaks MCP on standard input and output, for a client to start it; see castellan connect --help',
      )
    const bridge = new Bridge({ daemon, pipe, clock: systemClock })
    const stopped = context.stopped?.() ?? new AbortController().signal
    await untilStopped(stopped, context, async () => {
      for await (const line of readLines(context.stdin, MAX_MESSAGE_BYTES)) await bridge.take(line)
    })
    await bridge.close(GRACE_MS, hurryAfter(stopped))
    return 0
  },
})

function endpointPath(project: string, server: string | undefined): string {
  const names = [project, ...(server === undefined ? [] : [server])].map(encodeURIComponent)
  return `/projects/${names.join('/servers/')}/mcp`
}

interface Where {
  readonly url: string | undefined
  readonly tokenFile: string | undefined
}

/** What was given on the command line stands in for the variables of the same meaning. */
function locator(
  { url, tokenFile }: Where,
  { globals, locate }: Pick<Given<Options>, 'globals' | 'locate'>,
  context: CliContext,
): () => Target {
  const file = tokenFile === undefined ? undefined : resolve(context.cwd, tokenFile)
  const find = (): Target =>
    locate({ ...globals, url, token: file === undefined ? undefined : readToken(file) })
  checkInput(find)
  return find
}

/** A daemon that is not there may come; input that is wrong stays so. */
function checkInput(locate: () => Target): void {
  try {
    locate()
  } catch (error) {
    if (!(error instanceof CliFailure) || error.body.code === 'invalid') throw error
  }
}

/** Read before each request, so that a token can be replaced under a running client. */
function readToken(file: string): SecretValue {
  try {
    const token = readFileSync(file, 'utf8').trim()
    if (token !== '') return new SecretValue(token)
  } catch {
    // Said below, in one way for all that yields no token.
  }
  throw usage(
    '--token-file cannot be read, or is empty',
    'castellan create token NAME -p PROJECT --token-file FILE',
  )
}

const BROKEN = new Set(['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'EIO'])

/** Reads to the end of standard input, or until a signal. */
async function untilStopped(
  stopped: AbortSignal,
  { stdin }: CliContext,
  read: () => Promise<void>,
): Promise<void> {
  const stop = (): void => void stdin.destroy()
  stopped.addEventListener('abort', stop, { once: true })
  try {
    await read()
  } catch (error) {
    // A pipe that breaks, or that we close, ends as one that ends.
    if (!BROKEN.has((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    stopped.removeEventListener('abort', stop)
  }
}

/** Aborts a moment after the process was asked to end, also when that was while it closed. */
function hurryAfter(stopped: AbortSignal): AbortSignal {
  const hurry = new AbortController()
  const soon = (): void => void setTimeout(() => hurry.abort(), GRACE_AFTER_SIGNAL_MS).unref()
  if (stopped.aborted) soon()
  else stopped.addEventListener('abort', soon, { once: true })
  return hurry.signal
}
