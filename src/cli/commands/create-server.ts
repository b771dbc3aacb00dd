import { callApi, jsonBody } from '../api.ts'
import { printLines } from '../context.ts'
import { choice, defineCommand, list, text } from '../define-command.ts'
import { usage } from '../failure.ts'

const PAIR = 'NAME=VALUE'
const FROM = 'NAME=SECRET/KEY'

export const createServer = defineCommand({
  arguments: ['<name>', '[command...]'],
  options: {
    url: text('--url <url>', 'its address, for a server that is reached over HTTP'),
    header: list(`--header <${PAIR}>`, 'a header for every request (http); repeatable'),
    headerFrom: list(
      `--header-from <${FROM}>`,
      'a header whose value is kept in a secret (http); repeatable',
    ),
    env: list(`--env <${PAIR}>`, 'a variable (command); repeatable'),
    envFrom: list(`--env-from <${FROM}>`, 'a variable whose value is kept in a secret (command); repeatable'),
    cwd: text('--cwd <dir>', 'its working directory (command)'),
    instances: choice('--instances <who>', 'who shares one running copy (command)', [
      'shared',
      'per-principal',
      'per-session',
    ]),
    description: text('--description <text>', 'for people'),
  },
  about:
    'Give either --url or, after --, a command with its arguments. Credentials come from secrets, never from an argument.',
  examples: [
    'castellan create server context7 --url https://mcp.context7.com/mcp --header-from X-Api-Key=context7/key',
    'castellan create server memory -- npx -y @modelcontextprotocol/server-memory',
  ],
  async run({ args: [name = '', ...command], options, target, context }) {
    const { url, description } = options
    if ((url === undefined) === (command.length === 0))
      throw usage(
        'a server needs either --url or a command',
        'write: castellan create server NAME -- COMMAND [ARGS]',
      )
    if (/^https?:/i.test(command[0] ?? ''))
      throw usage('the command is an address', 'write: castellan create server NAME --url URL')
    const spec = {
      ...(url === undefined ? stdioSpec(command, options) : httpSpec(url, options)),
      ...(description === undefined ? {} : { description }),
    }
    const manifest = { apiVersion: 'castellan/v1', kind: 'Server', metadata: { name }, spec }
    await callApi(target(), ['servers'], { method: 'POST', body: jsonBody(manifest) })
    printLines(context.stdout, [`server/${name} created`])
    return 0
  },
})

interface StdioOptions {
  readonly env: readonly string[]
  readonly envFrom: readonly string[]
  readonly header: readonly string[]
  readonly headerFrom: readonly string[]
  readonly cwd: string | undefined
  readonly instances: string | undefined
}

function stdioSpec([command, ...args]: readonly string[], options: StdioOptions): object {
  const { env, envFrom, cwd, instances } = options
  if (options.header.length + options.headerFrom.length > 0)
    throw usage('--header and --header-from belong to --url', 'use --env or --env-from for a command')
  return {
    transport: 'stdio',
    command,
    args,
    env: named(env, envFrom),
    ...(cwd === undefined ? {} : { cwd }),
    ...(instances === undefined ? {} : { instances }),
  }
}

function httpSpec(url: string, options: StdioOptions): object {
  const { env, envFrom, cwd, instances } = options
  if (env.length + envFrom.length > 0 || cwd !== undefined || instances !== undefined)
    throw usage(
      '--env, --env-from, --cwd and --instances belong to a command',
      'use --header or --header-from with --url',
    )
  return { transport: 'http', url, headers: named(options.header, options.headerFrom) }
}

function named(pairs: readonly string[], froms: readonly string[]): object[] {
  return [
    ...pairs.map((pair) => {
      const [name, value] = halves(pair, '=', PAIR)
      return { name, value }
    }),
    ...froms.map((from) => {
      const [name, reference] = halves(from, '=', FROM)
      const [secret, key] = halves(reference, '/', FROM)
      return { name, valueFrom: { secretRef: { name: secret, key } } }
    }),
  ]
}

function halves(text: string, separator: string, form: string): [string, string] {
  const at = text.indexOf(separator)
  if (at <= 0) throw usage('an option is not in its form', `write it as ${form}`)
  return [text.slice(0, at), text.slice(at + 1)]
}
