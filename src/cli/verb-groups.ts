/** The verbs of `castellan --help`, under headings, in their order. */
// oxfmt-ignore
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'The daemon:':                    ['up', 'down', 'status', 'logs'],
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
export function byHeading(one: string, other: string): number {
  const order = Object.values(GROUPS).flat()
  const placeOf = (word: string): number => (order.includes(word) ? order.indexOf(word) : order.length)
  return placeOf(one) - placeOf(other)
}
