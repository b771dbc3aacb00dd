import { choice, list, text } from './define-command.ts'
import { usage } from './failure.ts'
import { halves, secretRef } from './pair-options.ts'

const PAIR = 'NAME=VALUE'
const FROM = 'NAME=SECRET/KEY'

/** Options that say what a server is: of `create server` and `create template`. */
export const serverOptions = {
  url: text('--url <url>', 'its address, for a server that is reached over HTTP'),
  header: list(`--header <${PAIR}>`, 'a header for every request (http); repeatable'),
  headerFrom: list(`--header-from <${FROM}>`, 'a header whose value is kept in a secret (http); repeatable'),
  env: list(`--env <${PAIR}>`, 'a variable (command); repeatable'),
  envFrom: list(`--env-from <${FROM}>`, 'a variable whose value is kept in a secret (command); repeatable'),
  cwd: text('--cwd <dir>', 'its working directory (command)'),
  mount: list(
    '--mount <path>',
    'a path that it may read; PATH:write to let it write there (command); repeatable',
  ),
  instances: choice('--instances <who>', 'who shares one running copy (command)', [
    'shared',
    'per-principal',
    'per-session',
  ]),
  grant: text('--grant <name>', 'reach it with this grant (http), such as oauth:notion', 'grants'),
  grantHeader: text('--grant-header <name>', 'the header for the grant (http); default: Authorization'),
  whose: choice('--whose <whose>', 'whose grant it is reached with (http); default: shared', [
    'shared',
    'per-user',
    'per-project',
    'caller',
  ]),
} as const

export interface ServerOptions {
  readonly url: string | undefined
  readonly env: readonly string[]
  readonly envFrom: readonly string[]
  readonly header: readonly string[]
  readonly headerFrom: readonly string[]
  readonly mount: readonly string[]
  readonly cwd: string | undefined
  readonly instances: string | undefined
  readonly grant: string | undefined
  readonly grantHeader: string | undefined
  readonly whose: string | undefined
}

/**
 * The spec of a Server, from a url or from a command with its arguments.
 *
 * @throws CliFailure where both or neither is given, or an option belongs to the other
 */
export function serverSpec(verb: string, command: readonly string[], options: ServerOptions): object {
  const { url } = options
  if ((url === undefined) === (command.length === 0))
    throw usage('a server needs either --url or a command', `write: ${verb} NAME -- COMMAND [ARGS]`)
  if (/^https?:/i.test(command[0] ?? ''))
    throw usage('the command is an address', `write: ${verb} NAME --url URL`)
  return url === undefined ? stdioSpec(command, options) : httpSpec(url, options)
}

function stdioSpec([command, ...args]: readonly string[], options: ServerOptions): object {
  const { env, envFrom, cwd, instances, mount } = options
  if (options.header.length + options.headerFrom.length > 0)
    throw usage('--header and --header-from belong to --url', 'use --env or --env-from for a command')
  if (authOf(options) !== undefined)
    throw usage(
      '--grant, --grant-header and --whose belong to --url',
      'give a command its credential from a secret: --env-from NAME=SECRET/KEY',
    )
  return {
    transport: 'stdio',
    command,
    args,
    env: named(env, envFrom),
    mounts: mount.map((path) =>
      path.endsWith(':write') ? { path: path.slice(0, -':write'.length), access: 'write' } : { path },
    ),
    cwd,
    instances,
  }
}

function httpSpec(url: string, options: ServerOptions): object {
  const { env, envFrom, cwd, instances, mount } = options
  if (env.length + envFrom.length + mount.length > 0 || cwd !== undefined || instances !== undefined)
    throw usage(
      '--env, --env-from, --cwd, --mount and --instances belong to a command',
      'use --header or --header-from with --url',
    )
  const auth = authOf(options)
  return { transport: 'http', url, headers: named(options.header, options.headerFrom), auth }
}

function authOf({ grant, grantHeader, whose }: ServerOptions): object | undefined {
  if (grant === undefined && (grantHeader !== undefined || whose !== undefined))
    throw usage('--grant-header and --whose are about a grant', 'say which one: --grant NAME')
  return grant === undefined ? undefined : { grant, header: grantHeader, whose }
}

function named(pairs: readonly string[], froms: readonly string[]): object[] {
  return [
    ...pairs.map((pair) => {
      const [name, value] = halves(pair, '=', PAIR)
      return { name, value }
    }),
    ...froms.map((from) => {
      const [name, reference] = halves(from, '=', FROM)
      return { name, valueFrom: { secretRef: secretRef(reference, FROM) } }
    }),
  ]
}
