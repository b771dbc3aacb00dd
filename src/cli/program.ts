import { Command, CommanderError, Option as CommanderOption } from 'commander'
import type { CliContext } from './context.ts'
import type { AnyCommand, Option, Verb } from './define-command.ts'
import { ALL_GLOBALS, GLOBAL_HEADING, GLOBAL_OPTIONS } from './global-options.ts'
import {
  contextInUse,
  credentialReader,
  resolveTarget,
  type GlobalChoice,
  type Target,
  type TargetChoice,
} from './target.ts'

export interface Chosen {
  readonly verb: Verb
  readonly command: AnyCommand
  /** What stands after the words of the verb, and options that stood before it. */
  readonly rest: readonly string[]
}

/**
 * Parses and runs. The tree holds every verb by name and summary, which is enough for help and for suggestions; only
 * the chosen one has arguments and options, and it parses its own part of the line, so that `--` reaches it as
 * written.
 *
 * @returns exit status; what goes wrong in the command itself is thrown
 */
export async function runProgram(
  argv: readonly string[],
  verbs: readonly Verb[],
  given: { readonly chosen: Chosen | undefined; readonly context: CliContext },
): Promise<number> {
  const { chosen, context } = given
  const program = new Command('castellan')
  prepare(program, context)
  program
    .description('One authenticated door between AI agents and their MCP servers.')
    .usage('<verb> [options]')
    .configureHelp({ helpWidth: 100, visibleOptions: () => [] })
  addGlobals(program, ALL_GLOBALS)
  // Only where no verb was found is its help shown.
  const top = chosen === undefined ? await import('./top-help.ts') : undefined
  if (top !== undefined) program.addHelpText('after', top.topHelp())
  const exit = { status: 0 }
  const nodes = new Map<string, Command>()
  for (const verb of top?.inOrder(verbs) ?? verbs) {
    const parent = nodes.get(verb.path.slice(0, -1).join(' ')) ?? program
    const node = parent.command(verb.path.at(-1) ?? '', { hidden: verb.hidden === true })
    node.summary(verb.summary).description(verb.summary)
    if (parent === program && top !== undefined) node.helpGroup(top.headingOf(verb.path[0] ?? ''))
    prepare(node, context)
    if (verb.examples !== undefined) node.addHelpText('after', examplesText(verb.examples))
    nodes.set(verb.path.join(' '), node)
    if (verb === chosen?.verb) attach(node, chosen.command, { context, exit })
  }
  const node = chosen === undefined ? undefined : nodes.get(chosen.verb.path.join(' '))
  try {
    await (node ?? program).parseAsync([...(chosen?.rest ?? argv)], { from: 'user' })
    return exit.status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
}

const HELP = ['-h, --help', 'show this help'] as const

function attach(
  node: Command,
  command: AnyCommand,
  given: { readonly context: CliContext; readonly exit: { status: number } },
): void {
  if (command.about !== undefined) node.description(`${node.description()}\n\n${command.about}`)
  for (const argument of command.arguments ?? []) node.argument(argument)
  for (const [name, option] of Object.entries(command.options)) node.addOption(toCommander(name, option))
  addGlobals(node, command.globals ?? ALL_GLOBALS)
  node.addHelpText('after', examplesText(command.examples))
  node.action(async () => {
    const parsed: Record<string, unknown> = node.opts()
    const globals = globalsIn(parsed, command)
    const readCredential = await credentialReader(given.context)
    const locate = (choice: TargetChoice): Target =>
      resolveTarget(given.context, Object.assign({ readCredential }, choice))
    const all = {
      args: node.args,
      options: valuesOf(parsed, command, () => contextInUse(given.context, globals)?.record.project),
      globals,
      home: globals.home,
      context: given.context,
      target: () => locate(globals),
      locate,
    }
    // The options are read as this very definition declares them, which the type of a loaded verb no longer says.
    given.exit.status = await (command.run as (all: unknown) => Promise<number>)(all)
  })
}

const examplesText = (examples: readonly string[]): string =>
  `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`

function addGlobals(node: Command, names: readonly (keyof GlobalChoice)[]): void {
  node.optionsGroup(GLOBAL_HEADING)
  for (const name of names) node.addOption(toCommander(name, GLOBAL_OPTIONS[name]))
  if (names.length > 0) node.addHelpOption(new CommanderOption(...HELP).helpGroup(GLOBAL_HEADING))
}

/** Only those that the command has: another option may be called the same (`--as` of `auth can-i`). */
function globalsIn(parsed: Record<string, unknown>, { globals = ALL_GLOBALS }: AnyCommand): GlobalChoice {
  const all: GlobalChoice = parsed
  return Object.fromEntries(globals.map((name) => [name, all[name]]))
}

/** @param project that of the context in use, asked for only where an option wants it */
function valuesOf(
  parsed: Record<string, unknown>,
  command: AnyCommand,
  project: () => string | undefined,
): Record<string, unknown> {
  const isMissing = ([name, option]: [string, Option<unknown>]): boolean =>
    option.fromContext === 'project' && parsed[name] === undefined && parsed['allProjects'] !== true
  return Object.fromEntries(
    Object.entries(command.options).map((entry) => [
      entry[0],
      parsed[entry[0]] ?? (isMissing(entry) ? project() : entry[1].value),
    ]),
  )
}

function toCommander(name: string, option: Option<unknown>): CommanderOption {
  const made = new CommanderOption(option.flags, option.help)
  // Values are stored under the name in the definition, whatever the flag is called.
  made.attributeName = () => name
  // `--no-health` is a flag of its own, not the opposite of a `--health` that there is not.
  made.negate = false
  if (option.choices !== undefined) made.choices([...option.choices])
  if (option.type === 'list')
    made.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value])
  return made
}

function prepare(command: Command, context: CliContext): void {
  command
    .exitOverride()
    .helpOption(...HELP)
    .helpCommand(false)
    .showSuggestionAfterError()
    .showHelpAfterError(`hint: ${nameOf(command)} --help`)
    .configureHelp({ helpWidth: 100 })
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      outputError: (text, write) => write(withoutValues(text)),
    })
}

const nameOf = (command: Command): string =>
  command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`

/** A mistyped option or a stray word may carry a secret: the name is repeated, the value is not. */
const withoutValues = (text: string): string =>
  text.replace(/(--?[\w-]+)=[^'\n]*/g, '$1').replace(/(but got \d+): .*/s, '$1.\n')
