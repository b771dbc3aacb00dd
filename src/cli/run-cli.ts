import { toExit } from '../lib/fault.ts'
import { printLines, type CliContext } from './context.ts'
import type { Verb } from './define-command.ts'
import { CliFailure } from './failure.ts'
import { wordsOfGlobal } from './global-options.ts'
import { runProgram } from './program.ts'

/**
 * Runs one command line in this process.
 *
 * @param argv without the program's own name
 * @param verbs those of `cli/verbs.ts`, and the ones that `main` adds
 * @returns exit status: 0 done, 1 the request failed, 2 the input is wrong, 70 a bug
 */
export async function runCli(
  argv: readonly string[],
  context: CliContext,
  verbs: readonly Verb[],
): Promise<number> {
  const line = argv.length === 0 ? ['--help'] : isVersion(argv) ? ['version'] : argv
  const found = chooseVerb(line, verbs)
  try {
    const command = await found?.verb.load?.()
    const chosen = found === undefined || command === undefined ? undefined : { ...found, command }
    return await runProgram(line, verbs, { chosen, context })
  } catch (error) {
    const { status, lines } = toExit(withHint(bodyOf(error), found?.verb))
    printLines(context.stderr, lines)
    if (status === 70 && context.env['CASTELLAN_DEBUG'] === '1' && error instanceof Error)
      printLines(context.stderr, [error.stack ?? error.message])
    return status
  }
}

const isVersion = (argv: readonly string[]): boolean =>
  argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')

/**
 * The verb with the longest path that the leading words spell, and the line without those words. Global options may
 * stand before them and between them.
 */
export function chooseVerb(
  argv: readonly string[],
  verbs: readonly Verb[],
): { readonly verb: Verb; readonly rest: readonly string[] } | undefined {
  const globals: string[] = []
  const words: string[] = []
  let found: { readonly verb: Verb; readonly rest: readonly string[] } | undefined
  for (let at = 0; at < argv.length;) {
    const taken = wordsOfGlobal(argv[at])
    if (taken > 0) globals.push(...argv.slice(at, at + taken))
    else {
      words.push(argv[at] ?? '')
      const fits = verbs.filter(({ path }) => words.every((word, i) => word === path[i]))
      if (fits.length === 0) return found
      const verb = fits.find(({ path }) => path.length === words.length)
      if (verb !== undefined) found = { verb, rest: [...globals, ...argv.slice(at + 1)] }
    }
    at += Math.max(taken, 1)
  }
  return found
}

function bodyOf(error: unknown): CliFailure['body'] {
  if (error instanceof CliFailure) return error.body
  if (isFaultLike(error)) return error
  return {
    code: 'internal',
    message: 'something went wrong inside the castellan command',
    hint: 'run it again with CASTELLAN_DEBUG=1 to see where, and report it',
  }
}

/** What is wrong with the input and comes without a way out is explained by the help of the verb. */
function withHint(body: CliFailure['body'], verb: Verb | undefined): CliFailure['body'] {
  const { code, message, problems } = body
  if (code !== 'invalid' || body.hint !== undefined || verb === undefined) return body
  return {
    code,
    message,
    ...(problems === undefined ? {} : { problems }),
    hint: `castellan ${verb.path.join(' ')} --help`,
  }
}

/** A `Fault` that a local verb's plane threw. */
const isFaultLike = (error: unknown): error is CliFailure['body'] =>
  error instanceof Error && error.name === 'Fault'
