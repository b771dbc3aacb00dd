import { flag, text, type Option } from './define-command.ts'
import type { GlobalChoice } from './target.ts'

/** Options that mean the same for each verb that has them; they may stand before the verb, too. */
export const GLOBAL_OPTIONS = {
  context: text('--context <name>', 'the daemon of this context (castellan config get-contexts lists them)'),
  home: text('--home <dir>', 'where the daemon keeps its data (default: CASTELLAN_HOME, else ~/.castellan)'),
  as: text('--as <subject>', 'act as another, such as User:ada; the record names both'),
  direct: flag('--direct', 'where that is an edge gateway: ask its control plane itself'),
} as const satisfies Record<GlobalName, Option<unknown>>

type GlobalName = keyof GlobalChoice

export const ALL_GLOBALS = Object.keys(GLOBAL_OPTIONS) as readonly GlobalName[]

/** Above them in help. */
export const GLOBAL_HEADING = 'Global options (before or after the verb):'

/**
 * How many words a global option takes up that begins at this one; 0: it is none.
 *
 * `--home x` takes two, `--home=x` one.
 */
export function wordsOfGlobal(word: string | undefined): number {
  const [name = ''] = (word ?? '').split('=', 1)
  const global = ALL_GLOBALS.find((one) => `--${one}` === name)
  if (global === undefined) return 0
  return name === word && GLOBAL_OPTIONS[global].type === 'text' ? 2 : 1
}
