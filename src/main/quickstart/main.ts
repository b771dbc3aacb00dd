import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseArgs } from 'node:util'
import { printLines, type CliContext } from '../../cli/context.ts'
import { CliFailure, usage } from '../../cli/failure.ts'
import { Fault, toExit } from '../../lib/fault.ts'
import { buildInfo } from '../version.ts'
import { runQuickstart } from './run.ts'
import { createScreen } from './screen.ts'

const HELP = [
  'Usage: npm start [-- --port <number>]',
  '',
  'Starts Castellan with four MCP servers behind one endpoint, in a home inside this checkout (.castellan),',
  'and shows how to connect a client. Ctrl-C ends all of it.',
]

/**
 * @param root the checkout, with a slash at its end
 * @returns exit status
 */
export async function main(root: string): Promise<number> {
  const context: CliContext = {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    userHome: homedir(),
    version: buildInfo,
  }
  const screen = createScreen(process.stdout, process.env)
  try {
    const { help, port } = readArguments(process.argv.slice(2))
    if (help) {
      printLines(context.stdout, HELP)
      return 0
    }
    // The servers of the example are programs of the checkout; npm has this folder in PATH already.
    process.env['PATH'] = [join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter)
    return await runQuickstart({ root: root.replace(/\/$/, ''), port, screen, context })
  } catch (error) {
    screen.failed()
    return report(error, context)
  }
}

function report(error: unknown, { stderr, env }: CliContext): number {
  const body =
    error instanceof CliFailure
      ? error.body
      : error instanceof Fault
        ? error
        : ({ code: 'internal', message: 'something went wrong inside Castellan', hint: DEBUG } as const)
  const { status, lines } = toExit(body)
  printLines(stderr, ['', ...lines.map((line) => `  ${line}`), ''])
  if (status === 70 && env['CASTELLAN_DEBUG'] === '1' && error instanceof Error)
    printLines(stderr, [error.stack ?? error.message])
  return status
}

const DEBUG =
  'run CASTELLAN_DEBUG=1 npm start to see where, and report it; .castellan/logs/daemon.log may say more'

function readArguments(argv: readonly string[]): { help: boolean; port: number | undefined } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { port: { type: 'string', short: 'p' }, help: { type: 'boolean', short: 'h' } },
    })
    return { help: values.help === true, port: readPort(values.port) }
  } catch (error) {
    if (error instanceof CliFailure) throw error
    throw usage('npm start takes --port <number> and nothing else', 'write: npm start -- --port 7500')
  }
}

function readPort(given: string | undefined): number | undefined {
  if (given === undefined) return undefined
  const port = Number(given)
  if (!/^\d{1,5}$/.test(given) || port > 65_535)
    throw usage('the port is not a number from 0 to 65535', 'write: npm start -- --port 7500')
  return port
}
