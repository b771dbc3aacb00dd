import type { Injection, Provider, Source } from './define-provider.ts'
import { describeProvider } from './describe-providers.ts'

const START = '<!-- providers: written by npm run docs -->'
const END = '<!-- end of providers -->'

/** @returns the page with the table of these providers between its two marks; the rest stands as it is */
export function withProviderTable(page: string, providers: readonly Provider[]): string {
  const [before = '', rest = ''] = page.split(START)
  const [, after = ''] = rest.split(END)
  return `${before}${START}\n\n${providerTable(providers)}\n\n${END}${after}`
}

const HEAD = ['provider', 'what it is', 'looked for in', 'sent', 'a run holds']

function providerTable(providers: readonly Provider[]): string {
  const rows = [HEAD, ...providers.map(rowOf)]
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const rule = line(widths.map((width) => '-'.repeat(width)))
  return [line(HEAD), rule, ...rows.slice(1).map(line)].join('\n')
}

function rowOf(provider: Provider): readonly string[] {
  const { id, qualifier, title, sources, injections, sees } = provider
  return [
    code(qualifier === undefined ? id : `${id}:${qualifier.name.toUpperCase()}`),
    title,
    sources.map(sourceText).join(', ') || 'a login in the browser',
    injections.map((injection) => injectionText(injection, provider)).join('; ') || sentOtherwise(provider),
    sees.length === 0 ? '' : describeProvider(provider).sees.map(code).join(', '),
  ]
}

const code = (text: string): string => `\`${text}\``

function sourceText(source: Source): string {
  if (source.kind === 'env') return source.names.map(code).join(', ')
  if (source.kind === 'command') return code(source.argv.join(' '))
  return source.kind === 'reader' ? READERS[source.name] : 'a prompt'
}

const READERS: Readonly<Record<Extract<Source, { kind: 'reader' }>['name'], string>> = {
  'claude-login': 'the login of Claude Code',
  'gemini-login': 'the login of Gemini CLI',
  npmrc: '`.npmrc`',
  'ssh-agent': 'the SSH agent',
  'aws-profile': 'the profiles of `aws`',
}

function injectionText({ hosts, place }: Injection, { qualifier }: Provider): string {
  const shown = hosts
    .map((host) => code(host === '{host}' ? (qualifier?.name ?? '').toUpperCase() : host))
    .join(', ')
  if (place.in === 'segment') return `${shown}: path \`/${place.prefix}…\``
  const scheme = place.basicUser === undefined ? place.prefix : 'Basic '
  return `${shown}: ${code(`${place.header}: ${scheme}…`)}`
}

const sentOtherwise = ({ runsOnly }: Provider): string =>
  runsOnly ? 'never' : 'to its Server, in the header that it names'
