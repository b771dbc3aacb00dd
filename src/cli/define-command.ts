import type { CliContext } from './context.ts'
import type { GlobalChoice, Target, TargetChoice } from './target.ts'

/** One option of a command. The type of its value follows from how it was made: `flag`, `text`, `list`, `choice`. */
export interface Option<Value> {
  /** As commander reads them: `-p, --project <name>`. */
  readonly flags: string
  readonly help: string
  readonly type: 'flag' | 'text' | 'list'
  readonly choices?: readonly string[]
  readonly value: Value
  readonly complete?: string
  /** Where it is not given, the project of the context in use stands in. */
  readonly fromContext?: 'project'
}

export type Options = Readonly<Record<string, Option<unknown>>>

export const flag = (flags: string, help: string): Option<boolean> => ({
  flags,
  help,
  type: 'flag',
  value: false,
})

/** @param complete what shell completion offers as its value: a kind, or nothing */
export const text = (flags: string, help: string, complete?: string): Option<string | undefined> => ({
  flags,
  help,
  type: 'text',
  value: undefined,
  ...(complete === undefined ? {} : { complete }),
})

/** May be given several times; the values keep their order. */
export const list = (flags: string, help: string, complete?: string): Option<readonly string[]> => ({
  flags,
  help,
  type: 'list',
  value: [],
  ...(complete === undefined ? {} : { complete }),
})

export const choice = <const Value extends string>(
  flags: string,
  help: string,
  choices: readonly Value[],
): Option<Value | undefined> => ({ flags, help, type: 'text', choices, value: undefined })

/** What the user gave: arguments in order (those of `[names...]` one by one), and the value of each option. */
export interface Given<O extends Options> {
  readonly args: readonly string[]
  readonly options: { readonly [Name in keyof O]: O[Name] extends Option<infer Value> ? Value : never }
  /** Where the daemon is, as whom, and acting as whom: from the global options, the environment and the contexts. */
  readonly target: () => Target
  /** The same for what a command reads by itself. */
  readonly locate: (chosen: TargetChoice) => Target
  /** The global options, as given; the environment and the contexts have their turn where they are read. */
  readonly globals: GlobalChoice
  /** `--home` of them. */
  readonly home: string | undefined
  readonly context: CliContext
}

/**
 * A verb of the command line. Its file is imported only when it is the one that runs, so it may import what it
 * needs; nothing on the way there (`run-cli.ts`, `verbs.ts`, this file) loads a schema or a YAML library.
 */
export interface CommandDefinition<O extends Options = Options> {
  /** As commander reads them: `<kind>`, `[names...]`. */
  readonly arguments?: readonly string[]
  /** What completion offers for each argument: `kind`, `name` (of the kind before it), names of one kind or of the contexts, or a fixed list. */
  readonly complete?: readonly ('kind' | 'name' | 'file' | 'context' | NamesOf | readonly string[])[]
  readonly options: O
  /** Which global options it has (default: all). */
  readonly globals?: readonly (keyof GlobalChoice)[]
  /** Sentences below the usage line, where the summary does not say it all. */
  readonly about?: string
  /** Command lines that work as they stand; shown by `--help`. */
  readonly examples: readonly string[]
  /**
   * @returns exit status
   * @throws CliFailure what the user has to know
   */
  readonly run: (given: Given<O>) => Promise<number>
}

export interface NamesOf {
  /** Plural of the kind. */
  readonly namesOf: string
}

/** Fills the type of the options in; the value is the definition itself. */
export const defineCommand = <const O extends Options>(
  definition: CommandDefinition<O>,
): CommandDefinition<O> => definition

/** A verb before it is loaded: all that help and completion of other verbs need of it. */
export interface Verb {
  /** `['create', 'token']` */
  readonly path: readonly string[]
  readonly summary: string
  /** Absent: a word that only groups others. */
  readonly load?: () => Promise<AnyCommand>
  /** Command lines that work as they stand, for the help of a word that only groups others. */
  readonly examples?: readonly string[]
  /** Left out of help and completion. */
  readonly hidden?: boolean
}

/** A command whose options are no longer known by type; only `program.ts` calls it, with what the definition says. */
export interface AnyCommand extends Omit<CommandDefinition, 'run'> {
  readonly run: (given: never) => Promise<number>
}
