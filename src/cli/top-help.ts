import type { Verb } from './define-command.ts'
import { ALL_GLOBALS, GLOBAL_HEADING, GLOBAL_OPTIONS } from './global-options.ts'
import { alignColumns } from './table.ts'

/** The options stand behind the verbs here: who reads this looks for a verb. */
export const topHelp = (): string => `
${GLOBAL_HEADING}
${alignColumns(ALL_GLOBALS.map((name) => [`  ${GLOBAL_OPTIONS[name].flags}`, GLOBAL_OPTIONS[name].help])).join('\n')}

Examples:
  castellan up -d
  castellan apply -f servers.yaml
  castellan get servers
  castellan create token laptop -p demo
  castellan login --url https://castellan.example.com

Every verb explains itself: castellan <verb> --help`

/** The verbs of `castellan --help`, under headings, in their order. */
// oxfmt-ignore
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'The daemon:':                    ['up', 'down', 'status', 'logs', 'keys'],
  'What it knows:':                 ['apply', 'get', 'describe', 'explain', 'create', 'edit', 'delete', 'attach', 'detach', 'revoke'],
  'Agents and servers:':            ['connect', 'grant', 'test'],
  'Who you are and what you may:':  ['login', 'logout', 'whoami', 'auth', 'config', 'set-password'],
  'The record:':                    ['audit'],
  'This program:':                  ['version', 'completion'],
}

/** The heading for a verb; one that is under none stands last. */
export const headingOf = (word: string): string =>
  Object.entries(GROUPS).find(([, words]) => words.includes(word))?.[0] ?? 'More:'

/** By heading, and within one in its order. */
export function inOrder(verbs: readonly Verb[]): readonly Verb[] {
  const order = Object.values(GROUPS).flat()
  const placeOf = ({ path: [word = ''] }: Verb): number =>
    order.includes(word) ? order.indexOf(word) : order.length
  return verbs.toSorted((one, other) => placeOf(one) - placeOf(other))
}
