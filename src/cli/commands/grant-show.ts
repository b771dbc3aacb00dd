import { callApi } from '../api.ts'
import { askYes, isTerminal } from '../ask.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand, flag } from '../define-command.ts'
import { unavailable, usage } from '../failure.ts'
import { grantWord } from '../granting/grant-word.ts'
import { HOLDER_OPTIONS, holderOf, queryOf } from '../granting/holder-options.ts'
import { alignColumns } from '../table.ts'

export const grantShow = defineCommand({
  arguments: ['<grant>'],
  complete: [{ namesOf: 'grants' }],
  options: {
    showToken: flag(
      '--show-token',
      'print what is sent: for the administrator of the host, and on the record',
    ),
    ...HOLDER_OPTIONS,
    yes: flag('-y, --yes', 'do not ask'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
  },
  about:
    'Where it came from, where it may be sent, until when, when it was renewed and used, and what is wrong with it.',
  examples: ['castellan grant show oauth:notion', 'castellan grant show github --mine -o json'],
  async run({ args: [given = ''], options, target, context }) {
    const name = grantWord(given)
    const query = queryOf(holderOf(options))
    if (options.showToken) {
      if (!options.yes) {
        if (!isTerminal(context)) throw usage('there is no terminal to ask on', 'add --yes')
        if (!(await askYes(`Show the credential of ${name} on this screen?`, context)))
          throw unavailable('nothing was shown', 'castellan grant show says all about it but the credential')
      }
      const answer = JSON.parse(await callApi(target(), ['grants', name, 'values'], { query })) as Revealed
      const json = JSON.stringify(answer, null, 2)
      printLines(context.stdout, options.output === 'json' ? [json] : Object.values(answer.values))
      return 0
    }
    const answer = JSON.parse(await callApi(target(), ['grants', name], { query })) as Shown
    printLines(
      context.stdout,
      options.output === 'json' ? [JSON.stringify(answer, null, 2)] : linesOf(answer),
    )
    return 0
  },
})

interface Revealed {
  readonly values: Readonly<Record<string, string>>
}

/** A grant as the daemon reports it, as far as people read it. */
interface Shown {
  readonly name: string
  readonly profile: string
  /** Empty: everybody's. */
  readonly holder: string
  readonly server?: string
  readonly origins: readonly string[]
  readonly issuer?: string
  readonly state: string
  readonly scopes: readonly string[]
  readonly source: string
  readonly givenAtMs: number
  readonly expiresAtMs?: number
  readonly renewable: boolean
  readonly refreshedAtMs?: number
  readonly refreshProblem?: string
  readonly usedAtMs?: number
  readonly problem?: string
}

function linesOf(shown: Shown): string[] {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['name', shown.name],
    ['profile', shown.profile],
    ['whose', shown.holder === '' ? 'shared' : shown.holder],
    ['state', shown.state],
    ['problem', shown.problem],
    ['server', shown.server],
    ['sent to', shown.origins.join(', ') || undefined],
    ['authorization server', shown.issuer],
    ['scopes', shown.scopes.join(' ') || undefined],
    ['given', `${dateOf(shown.givenAtMs)} (${shown.source})`],
    ['expires', dateOf(shown.expiresAtMs)],
    ['renewed', shown.renewable ? (dateOf(shown.refreshedAtMs) ?? 'by itself, before it ends') : undefined],
    ['not renewed', shown.refreshProblem],
    ['last used', dateOf(shown.usedAtMs) ?? 'never'],
  ]
  return alignColumns(rows.flatMap(([label, text]) => (text === undefined ? [] : [[label, text]])))
}

const dateOf = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
