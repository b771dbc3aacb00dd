import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { HOME_CONTEXT } from '../contexts/config-file.ts'
import { choice, defineCommand } from '../define-command.ts'
import { alignColumns } from '../table.ts'
import { contextInUse } from '../target.ts'

export const whoami = defineCommand({
  options: { output: choice('-o, --output <format>', 'how to print it', ['text', 'json']) },
  about: 'As the daemon sees it: it is asked, and has to answer.',
  examples: ['castellan whoami', 'castellan whoami --context work -o json', 'castellan whoami --as User:ada'],
  async run({ options: { output }, target, globals, context }) {
    const at = target()
    const me = JSON.parse(await callApi(at, ['auth', 'me'])) as Me
    const found = contextInUse(context, globals)?.name
    // Without one it is the daemon of a home, or the one that a variable names.
    const isNamed = (context.env['CASTELLAN_URL'] ?? '') !== '' && globals.home === undefined
    const name = found ?? (isNamed && globals.context === undefined ? undefined : HOME_CONTEXT)
    const where = { context: name, url: at.url.href.replace(/\/$/, '') }
    printLines(
      context.stdout,
      output === 'json' ? [JSON.stringify(Object.assign(me, where), null, 2)] : linesOf(me, where),
    )
    return 0
  },
})

interface Me {
  readonly kind: 'local-admin' | 'user' | 'token' | 'subject'
  readonly name: string
  readonly subject?: string
  readonly administrator: boolean
  readonly groups: readonly string[]
  /** How a user signed in: `password`, or the name of the identity provider. */
  readonly method?: string
  readonly expiresAt?: string
  readonly project?: string
  readonly owner?: string
  readonly actor?: string
}

function linesOf(me: Me, where: { readonly context: string | undefined; readonly url: string }): string[] {
  const until = me.expiresAt === undefined ? '' : `, until ${me.expiresAt}`
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['name', me.subject ?? 'the administrator of the host'],
    ['acted by', me.actor],
    ['signed in', me.method === undefined ? undefined : `${wayOf(me.method)}${until}`],
    [
      'valid',
      me.kind === 'token' ? (me.expiresAt === undefined ? 'for ever' : `until ${me.expiresAt}`) : undefined,
    ],
    ['owner', me.owner],
    ['project', me.project],
    ['groups', me.kind === 'local-admin' ? undefined : me.groups.join(', ') || 'none'],
    ['rights', me.administrator ? 'everything' : 'castellan auth rights lists them'],
    ['context', where.context ?? 'none: CASTELLAN_URL'],
    ['daemon', where.url],
  ]
  return alignColumns(rows.flatMap(([label, text]) => (text === undefined ? [] : [[label, text]])))
}

const wayOf = (method: string): string => (method === 'password' ? 'with a password' : `at ${method}`)
