import { callApi } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { configPath, HOME_CONTEXT, readConfig } from '../contexts/config-file.ts'
import {
  defineCommand,
  type AnyCommand,
  type Given,
  type Option,
  type Options,
  type Verb,
} from '../define-command.ts'
import { ALL_GLOBALS, GLOBAL_OPTIONS } from '../global-options.ts'
import { chooseVerb } from '../run-cli.ts'
import type { GlobalChoice } from '../target.ts'

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
      const candidates = await candidatesFor(words.slice(0, -1), last, {
        verbs: verbs(),
        given,
        globals: globalsIn(words),
      })
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
  readonly globals: GlobalChoice
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
  const globals = (command.globals ?? ALL_GLOBALS).map((name) => GLOBAL_OPTIONS[name])
  const options: readonly Option<unknown>[] = [...Object.values(command.options), ...globals]
  const waiting = options.find(
    ({ flags, type }) => type !== 'flag' && names(flags).includes(before.at(-1) ?? ''),
  )
  if (waiting !== undefined) {
    if (waiting.choices !== undefined) return waiting.choices.map((word) => [word, waiting.help])
    if (waiting === GLOBAL_OPTIONS.context) return contextNames(where.given.context)
    return waiting.complete === undefined ? [] : await namesOf(waiting.complete, undefined, where)
  }
  if (last.startsWith('-'))
    return options.flatMap(({ flags, help }) => names(flags).map((word): Candidate => [word, help]))
  const { positional, project } = split(found.rest, options)
  const verbs = positional.length === 0 ? nested : []
  const taken = new Set(verbs.map(([word]) => word))
  const others = await forArgument(command, { positional, project }, where)
  return [...verbs, ...others.filter(([word]) => !taken.has(word))]
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

const contextNames = (context: CliContext): Candidate[] =>
  [HOME_CONTEXT, ...readConfig(configPath(context)).contexts.keys()].map((name) => [name, ''])

const names = (flags: string): string[] => flags.split(/[ ,|]+/).filter((word) => word.startsWith('-'))

function split(
  rest: readonly string[],
  options: readonly Option<unknown>[],
): { readonly positional: readonly string[]; readonly project: string | undefined } {
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
  const at = Math.max(0, kinds.indexOf('kind'))
  if (what === 'kind') {
    if (typed.positional.length > at) return []
    const list = JSON.parse(await ask(['kinds'], undefined, where)) as readonly {
      plural: string
      summary: string
    }[]
    return list.map(({ plural, summary }) => [plural, summary])
  }
  if (what === 'context') return typed.positional.length > 0 ? [] : contextNames(where.given.context)
  if (what === 'name') return await namesOf(typed.positional[at] ?? '', typed.project, where)
  if ('namesOf' in what)
    return typed.positional.length > 0 ? [] : await namesOf(what.namesOf, undefined, where)
  return what.map((word) => [word, ''])
}

async function namesOf(
  kind: string,
  project: string | undefined,
  where: Where,
): Promise<readonly Candidate[]> {
  if (kind === 'grants' || kind === 'providers') return await grantNames(kind, where)
  const lines = (await ask(['names', kind], project, where)).split('\n')
  return lines.filter((line) => line !== '').map((line) => [line, ''])
}

/** They are no kinds: what there is of them the API lists in its own way. */
async function grantNames(what: 'grants' | 'providers', where: Where): Promise<readonly Candidate[]> {
  const path = what === 'grants' ? ['grants'] : ['grants', 'providers']
  const { items } = JSON.parse(await ask(path, undefined, where)) as {
    readonly items: readonly { readonly id?: string; readonly name?: string; readonly title?: string }[]
  }
  // One name may be there for several holders.
  return [...new Map(items.map(({ id, name, title }) => [id ?? name ?? '', title ?? '']))]
}

/** Of the daemon that the line is about as far as it is typed. */
const ask = (path: readonly string[], project: string | undefined, where: Where): Promise<string> =>
  callApi(where.given.locate(where.globals), path, { query: { project } })

/** What the line says of the context and the home: names are asked of the daemon that it is about. */
function globalsIn(words: readonly string[]): GlobalChoice {
  const valueOf = (name: keyof GlobalChoice): string | undefined => {
    const at = words.findLastIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`))
    return words[at] === `--${name}` ? words[at + 1] : words[at]?.slice(name.length + 3)
  }
  return { context: valueOf('context'), home: valueOf('home') }
}
