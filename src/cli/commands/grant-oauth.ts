import { text as readText } from 'node:stream/consumers'
import { callApi, jsonBody } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { defineCommand, flag, list, text } from '../define-command.ts'
import { CliFailure, unavailable, usage } from '../failure.ts'
import type { Target } from '../target.ts'

export const grantOauth = defineCommand({
  arguments: ['<name>'],
  options: {
    server: text('--server <name>', 'the server that it is for', 'servers'),
    clientId: text('--client-id <id>', 'a client that you registered at the authorization server'),
    clientSecretStdin: flag('--client-secret-stdin', 'read the secret of that client from standard input'),
    clientMetadataUrl: text(
      '--client-metadata-url <url>',
      'where a client ID metadata document of this daemon is published',
    ),
    scope: list('--scope <scope>', 'ask for this scope instead of those that the server names; repeatable'),
    detach: flag('-d, --detach', 'print the address and end; castellan grant list shows how it went'),
  },
  about:
    'Prints an address to open in a browser on the machine of the daemon, and waits until it was authorized there.',
  examples: [
    'castellan grant oauth notion --server notion',
    'pass show asana | castellan grant oauth asana --server asana --client-id 1207 --client-secret-stdin',
  ],
  async run({ args: [name = ''], options: given, target, context }) {
    const { server, clientId, clientMetadataUrl, scope } = given
    if (server === undefined) throw usage('the server is missing', 'add: --server NAME')
    if (given.clientSecretStdin && clientId === undefined)
      throw usage('a client secret is worth nothing alone', 'add: --client-id ID')
    const clientSecret = given.clientSecretStdin ? await secretFrom(context) : undefined
    const body = { name, server, clientId, clientSecret, clientMetadataUrl, ...scopes(scope) }
    const started = JSON.parse(
      await callApi(target(), ['grants'], { method: 'POST', body: jsonBody(body) }),
    ) as Started
    printLines(context.stderr, headOf(started))
    printLines(context.stdout, [started.authorizeUrl])
    if (!given.detach) {
      await untilEnd(target(), started.attempt)
      printLines(context.stderr, [`${started.name} authorized`])
    }
    if (!started.usedByServer)
      printLines(context.stderr, [
        `server/${server} does not use it: set spec.auth.grant of that server to ${started.name}`,
      ])
    return 0
  },
})

interface Started {
  readonly name: string
  readonly attempt: string
  readonly authorizeUrl: string
  readonly redirectUri: string
  readonly issuer: string
  readonly scopes: readonly string[]
  readonly usedByServer: boolean
}

const scopes = (given: readonly string[]): { readonly scopes?: readonly string[] } =>
  given.length === 0 ? {} : { scopes: given.flatMap((one) => one.split(/[ ,]+/)).filter(Boolean) }

const headOf = ({ issuer, scopes: asked, redirectUri }: Started): string[] => [
  `authorization server: ${issuer}`,
  `scopes: ${asked.length === 0 ? 'as the authorization server decides' : asked.join(' ')}`,
  `redirect address: ${redirectUri}`,
  'open this address in a browser:',
]

async function secretFrom(context: CliContext): Promise<string> {
  const secret = (await readText(context.stdin)).replace(/\r?\n$/, '')
  if (secret === '') throw usage('standard input is empty', 'pipe the client secret into the command')
  return secret
}

/** The daemon forgets an attempt after ten minutes, so this ends. */
async function untilEnd(target: Target, attempt: string): Promise<void> {
  for (;;) {
    const answer = await callApi(target, ['grants', 'attempts', attempt], { query: { waitSeconds: 20 } })
    const { state, problem } = JSON.parse(answer) as { readonly state: string; readonly problem?: string }
    if (state === 'done') return
    if (state === 'failed')
      throw unavailable(problem ?? 'it was not authorized', 'start it again with the same command')
    if (state !== 'waiting')
      throw new CliFailure({
        code: 'unavailable',
        message: 'the daemon answers in a way that is not known here',
      })
  }
}
