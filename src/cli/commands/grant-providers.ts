import { printLines } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'
import { listProviders } from '../granting/find-provider.ts'
import type { Provider, ProviderSource } from '../granting/provider.ts'
import { alignColumns } from '../table.ts'

export const grantProviders = defineCommand({
  options: { output: choice('-o, --output <format>', 'how to print it', ['table', 'wide', 'json']) },
  about:
    'Each can be given with castellan grant PROVIDER. Files in the folder providers of the home of the daemon add to them.',
  examples: ['castellan grant providers', 'castellan grant providers -o json'],
  async run({ options: { output = 'table' }, target, context }) {
    const { items, problems } = await listProviders(target())
    printLines(
      context.stdout,
      output === 'json'
        ? [JSON.stringify({ items, problems }, null, 2)]
        : alignColumns(output === 'wide' ? wide(items) : table(items)),
    )
    if (output !== 'json') printLines(context.stderr, problems)
    return 0
  },
})

const table = (providers: readonly Provider[]): string[][] => [
  ['GRANT', 'WHAT', 'FOUND IN'],
  ...providers.map((one) => [nameOf(one), one.title, foundIn(one)]),
]

const wide = (providers: readonly Provider[]): string[][] => [
  ['GRANT', 'ALSO', 'WHAT', 'FOUND IN', 'SENT TO', 'USED BY'],
  ...providers.map((one) => [
    nameOf(one),
    listOf(one.aliases),
    one.title,
    foundIn(one),
    listOf(one.origins),
    one.runsOnly ? 'runs' : 'servers, runs',
  ]),
]

const nameOf = ({ id, qualifier }: Provider): string =>
  qualifier === null ? id : `${id}:${qualifier.name.toUpperCase()}`

/** Nobody has it by them: it comes of a sign-in. */
const foundIn = ({ id, sources }: Provider): string =>
  id === 'oauth' ? 'a browser' : listOf(sources.map(textOf))

const listOf = (words: readonly string[]): string =>
  words.length === 0 ? '-' : [...new Set(words)].join(', ')

/** What a reader reads, in the words of whoever uses that program. */
const READ: Readonly<Record<string, string>> = {
  'claude-login': 'the login of Claude Code',
  'gemini-login': 'the login of Gemini CLI',
  npmrc: '.npmrc',
  'ssh-agent': 'the SSH agent',
  'aws-profile': 'the AWS configuration',
}

function textOf(source: ProviderSource): string {
  if (source.kind === 'env') return source.names.join(', ')
  if (source.kind === 'command') return source.argv.join(' ')
  return source.kind === 'prompt' ? 'a prompt' : (READ[source.name] ?? source.name)
}
