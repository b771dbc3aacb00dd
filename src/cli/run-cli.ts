import { toExit } from '../lib/fault.ts'
import { printLines, type CliContext } from './context.ts'
import type { Verb } from './define-command.ts'
import { CliFailure } from './failure.ts'
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
  try {
    const found = chooseVerb(line, verbs)
    const command = await found?.verb.load?.()
    const chosen = found === undefined || command === undefined ? undefined : { ...found, command }
    return await runProgram(line, verbs, { chosen, context })
  } catch (error) {
    const { status, lines } = toExit(bodyOf(error))
    printLines(context.stderr, lines)
    if (status === 70 && context.env['CASTELLAN_DEBUG'] === '1' && error instanceof Error)
      printLines(context.stderr, [error.stack ?? error.message])
    return status
  }
}

const isVersion = (argv: readonly string[]): boolean =>
  argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')

/**
 * The verb with the longest path that the leading words spell, and the line without those words. `--home` may stand
 * before them.
 */
export function chooseVerb(
  argv: readonly string[],
  verbs: readonly Verb[],
): { readonly verb: Verb; readonly rest: readonly string[] } | undefined {
  let start = 0
  while (argv[start] === '--home' || argv[start]?.startsWith('--home=') === true)
    start += argv[start] === '--home' ? 2 : 1
  const matching = verbs.filter(({ path }) => path.every((word, i) => word === argv[start + i]))
  const [verb] = matching.toSorted((a, b) => b.path.length - a.path.length)
  return verb === undefined
    ? undefined
    : { verb, rest: [...argv.slice(0, start), ...argv.slice(start + verb.path.length)] }
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

/** A `Fault` that a local verb's plane threw. */
const isFaultLike = (error: unknown): error is CliFailure['body'] =>
  error instanceof Error && error.name === 'Fault'
