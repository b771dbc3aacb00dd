import { configPath, HOME_CONTEXT, readConfig, type ContextRecord } from '../contexts/config-file.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'
import { alignColumns } from '../table.ts'
import { homeOf, readDaemonRecord } from '../target.ts'

export const configGetContexts = defineCommand({
  options: { output: choice('-o, --output <format>', 'how to print them', ['table', 'json', 'name']) },
  globals: [],
  about:
    'The star stands at the one that is asked when nothing else is said. home is always there: the daemon of the home, as its administrator.',
  examples: ['castellan config get-contexts', 'castellan config get-contexts -o json'],
  async run({ options: { output }, context }) {
    const { current = HOME_CONTEXT, contexts } = readConfig(configPath(context))
    const home = { name: HOME_CONTEXT, url: readDaemonRecord(homeOf(context))?.url ?? '', credential: 'file' }
    const rows: readonly Row[] = [home, ...[...contexts].map(([name, record]) => rowOf(name, record))]
    if (output === 'name')
      printLines(
        context.stdout,
        rows.map(({ name }) => name),
      )
    else if (output === 'json') {
      const items = rows.map((row) => Object.assign({ current: row.name === current }, row))
      printLines(context.stdout, [JSON.stringify({ items }, null, 2)])
    } else printLines(context.stdout, tableOf(rows, current))
    return 0
  },
})

interface Row {
  readonly name: string
  readonly url: string
  readonly project?: string | undefined
  readonly user?: string | undefined
  readonly credential: string
  readonly expiresAt?: string | undefined
}

const rowOf = (name: string, { url, project, user, credential, expiresAt }: ContextRecord): Row => ({
  name,
  url,
  project,
  user,
  credential,
  expiresAt,
})

const tableOf = (rows: readonly Row[], current: string): string[] =>
  alignColumns([
    ['', 'NAME', 'URL', 'PROJECT', 'SIGNED IN', 'UNTIL'],
    ...rows.map(({ name, url, project, user, expiresAt }) => [
      name === current ? '*' : '',
      name,
      url,
      project ?? '',
      user ?? '',
      expiresAt ?? '',
    ]),
  ])
