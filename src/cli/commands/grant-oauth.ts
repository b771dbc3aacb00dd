import { text as readText } from 'node:stream/consumers'
import type { CliContext } from '../context.ts'
import { choice, defineCommand, flag, list, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { qualifierOf } from '../granting/grant-word.ts'
import { HOLDER_OPTIONS, holderOf } from '../granting/holder-options.ts'
import { giveOAuthGrant, type OAuthRequest } from '../granting/oauth-request.ts'

export const grantOauth = defineCommand({
  arguments: ['<name>'],
  options: {
    server: text('--server <name>', 'the server that it is for', 'servers'),
    url: text('--url <url>', 'the address that it is for, where there is no server (yet)'),
    clientId: text('--client-id <id>', 'a client that you registered at the authorization server'),
    clientSecretStdin: flag('--client-secret-stdin', 'read the secret of that client from standard input'),
    clientMetadataUrl: text(
      '--client-metadata-url <url>',
      'where a client ID metadata document of this daemon is published',
    ),
    issuer: text('--issuer <url>', 'the authorization server, where the server names none or several'),
    authUrl: text('--auth-url <url>', 'the authorization endpoint, where it cannot be discovered'),
    tokenUrl: text('--token-url <url>', 'the token endpoint, where it cannot be discovered'),
    deviceUrl: text('--device-url <url>', 'the device authorization endpoint, for --device'),
    revocationUrl: text('--revocation-url <url>', 'where tokens are taken back'),
    tokenAuthMethod: choice('--token-auth-method <method>', 'how the client secret is sent', [
      'client_secret_basic',
      'client_secret_post',
    ]),
    scopes: list('--scopes <scopes>', 'ask for these in place of those that the server names: "a b" or a,b'),
    scope: list('--scope <scope>', 'the same, one at a time; repeatable'),
    device: flag('--device', 'with a code that is entered in any browser (device flow)'),
    noBrowser: flag('--no-browser', 'show the address, and open nothing'),
    allowWithoutPkce: flag(
      '--allow-without-pkce-advertised',
      'also at an authorization server that does not say that it supports PKCE with S256',
    ),
    exchange: flag(
      '--exchange',
      'nobody authorizes it: what is sent is given in exchange for the sign-in of whoever calls',
    ),
    subject: choice('--subject <token>', 'what is shown of a sign-in; default id_token', [
      'id_token',
      'access_token',
    ]),
    audience: text('--audience <name>', 'how the authorization server calls what it is exchanged for'),
    detach: flag('-d, --detach', 'print the address and end; castellan grant list shows how it went'),
    ...HOLDER_OPTIONS,
  },
  about:
    'Each part of the configuration comes from the first of these that has it: options, the file oauth/NAME.yaml in the home of the daemon, discovery; which one it was is printed. The address is always printed, too: where no browser can be opened, open it anywhere, and paste the address that the browser ends at.',
  examples: [
    'castellan grant oauth notion --server notion',
    'castellan grant oauth notion --server notion --mine',
    'castellan grant oauth linear --url https://mcp.linear.app/mcp --no-browser',
    'pass show asana | castellan grant oauth asana --server asana --client-id 1207 --client-secret-stdin',
    'castellan grant oauth notes --server notes --client-id gateway --exchange',
  ],
  async run({ args: [given = ''], options, target, context }) {
    if (options.server !== undefined && options.url !== undefined)
      throw usage('it is said twice what it is for', 'give either --server or --url')
    const exchange = exchangeIn(options)
    const { issuer, authUrl, tokenUrl, deviceUrl, revocationUrl, tokenAuthMethod } = options
    const { server, url, clientId, clientMetadataUrl } = options
    const request = {
      name: qualifierOf('oauth', given),
      scopes: scopesIn([...options.scopes, ...options.scope]),
      device: options.device || undefined,
      allowWithoutPkceAdvertised: options.allowWithoutPkce || undefined,
    } as const
    const settings = { issuer, authUrl, tokenUrl, deviceUrl, revocationUrl, tokenAuthMethod }
    const about = { server, url, clientId, clientMetadataUrl, exchange }
    const holder = holderOf(options)
    const clientSecret = options.clientSecretStdin ? await secretFrom(context) : undefined
    await giveOAuthGrant(Object.assign({ clientSecret }, request, about, settings, holder), {
      target: target(),
      context,
      noBrowser: options.noBrowser,
      detach: options.detach,
    })
    return 0
  },
})

function exchangeIn({
  exchange,
  subject,
  audience,
  noBrowser,
  detach,
}: {
  readonly exchange: boolean
  readonly subject: string | undefined
  readonly audience: string | undefined
  readonly noBrowser: boolean
  readonly detach: boolean
}): OAuthRequest['exchange'] {
  if (exchange) {
    if (noBrowser || detach)
      throw usage('with --exchange nobody opens an address', 'leave out --no-browser and --detach')
    return { subject, audience }
  }
  if (subject !== undefined || audience !== undefined)
    throw usage('--subject and --audience are about an exchange', 'add --exchange')
  return undefined
}

const scopesIn = (given: readonly string[]): readonly string[] | undefined => {
  const scopes = given.flatMap((one) => one.split(/[ ,]+/)).filter((scope) => scope !== '')
  return scopes.length === 0 ? undefined : scopes
}

async function secretFrom(context: CliContext): Promise<string> {
  const secret = (await readText(context.stdin)).replace(/\r?\n$/, '')
  if (secret === '') throw usage('standard input is empty', 'pipe the client secret into the command')
  return secret
}
