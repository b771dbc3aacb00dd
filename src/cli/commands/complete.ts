import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand, type AnyCommand, type Given, type Options, type Verb } from '../define-command.ts'
import { chooseVerb } from '../run-cli.ts'

type Candidate = readonly [word: string, help: string]

/** What a completion script calls: the words so far, the last one unfinished. Silent where it knows nothing. */
export const createComplete = (verbs: () => readonly Verb[]): AnyCommand =>
  defineCommand({
    arguments: ['[words...]'],
    options: {},
    examples: ['castellan __complete -- get ser'],
    async run(given) {
      const words = given.args
      const last = words.at(-1) ?? ''
      const candidates = await candidatesFor(words.slice(0, -1), last, { verbs: verbs(), given })
      const fitting = candidates.filter(([word]) => word.startsWith(last))
      printLines(
        given.context.stdout,
        fitting.map(([word, help]) => `${word}\t${help}`),
      )
      return 0
    },
  })

interface Where {
  readonly verbs: readonly Verb[]
  readonly given: Given<Options>
}

async function candidatesFor(
  before: readonly string[],
  last: string,
  where: Where,
): Promise<readonly Candidate[]> {
  const found = chooseVerb(before, where.verbs)
  const nested = nextWords(before, where.verbs)
  const command = await found?.verb.load?.()
  if (found === undefined || command === undefined) return nested
  const options = Object.values(command.options)
  const waiting = options.find(
    ({ flags, type }) => type !== 'flag' && names(flags).includes(before.at(-1) ?? ''),
  )
  if (waiting !== undefined) {
    if (waiting.choices !== undefined) return waiting.choices.map((word) => [word, waiting.help])
    return waiting.complete === undefined ? [] : await namesOf(waiting.complete, undefined, where)
  }
  if (last.startsWith('-'))
    return options.flatMap(({ flags, help }) => names(flags).map((word): Candidate => [word, help]))
  const { positional, project } = split(found.rest, command)
  return [
    ...(positional.length === 0 ? nested : []),
    ...(await forArgument(command, { positional, project }, where)),
  ]
}

/** Words that lead from what is typed to a verb below it. */
function nextWords(before: readonly string[], verbs: readonly Verb[]): Candidate[] {
  return verbs
    .filter(
      ({ path, hidden }) =>
        hidden !== true && path.length === before.length + 1 && before.every((word, i) => word === path[i]),
    )
    .map(({ path, summary }) => [path.at(-1) ?? '', summary])
}

const names = (flags: string): string[] => flags.split(/[ ,|]+/).filter((word) => word.startsWith('-'))

function split(
  rest: readonly string[],
  command: AnyCommand,
): { readonly positional: readonly string[]; readonly project: string | undefined } {
  const options = Object.values(command.options)
  const positional: string[] = []
  let project: string | undefined
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? ''
    const option = options.find(({ flags }) => names(flags).includes(word))
    if (option === undefined && !word.startsWith('-')) positional.push(word)
    if (option === undefined || option.type === 'flag') continue
    i += 1
    if (names(option.flags).includes('--project')) project = rest[i]
  }
  return { positional, project }
}

async function forArgument(
  command: AnyCommand,
  typed: { readonly positional: readonly string[]; readonly project: string | undefined },
  where: Where,
): Promise<readonly Candidate[]> {
  const kinds = command.complete ?? []
  const what = kinds[Math.min(typed.positional.length, kinds.length - 1)]
  if (what === undefined || what === 'file') return []
  if (what === 'kind') {
    if (typed.positional.length > 0) return []
    const list = JSON.parse(await ask(['kinds'], undefined, where)) as readonly {
      plural: string
      summary: string
    }[]
    return list.map(({ plural, summary }) => [plural, summary])
  }
  if (what === 'name') return await namesOf(typed.positional[0] ?? '', typed.project, where)
  if ('namesOf' in what)
    return typed.positional.length > 0 ? [] : await namesOf(what.namesOf, undefined, where)
  return what.map((word) => [word, ''])
}

async function namesOf(
  kind: string,
  project: string | undefined,
  where: Where,
): Promise<readonly Candidate[]> {
  const lines = (await ask(['names', kind], project, where)).split('\n')
  return lines.filter((line) => line !== '').map((line) => [line, ''])
}

const ask = (path: readonly string[], project: string | undefined, where: Where): Promise<string> =>
  callApi(where.given.target(), path, { query: { project } })
