import { printLines } from '../context.ts'
import { defineCommand, flag } from '../define-command.ts'
import { usage } from '../failure.ts'
import { giveFromProvider } from '../granting/give-from-provider.ts'
import { giveMcpGrant } from '../granting/give-mcp.ts'
import { grantWord } from '../granting/grant-word.ts'
import { giveOAuthGrant } from '../granting/oauth-request.ts'
import { readServerAuth, type ServerAuth } from '../granting/server-auth.ts'

export const grantConnect = defineCommand({
  arguments: ['<server>'],
  complete: [{ namesOf: 'servers' }],
  options: {
    noBrowser: flag('--no-browser', 'show the address, and open nothing'),
    device: flag('--device', 'with a code that is entered in any browser (device flow)'),
  },
  about:
    'For a server that calls with the grant of each user: gives yours, in the way that this server wants it. castellan grant list --mine shows your connections, and castellan revoke GRANT --mine ends one.',
  examples: ['castellan grant connect notion'],
  async run({ args: [server = ''], options: { noBrowser, device }, target, context }) {
    const at = target()
    const auth = await readServerAuth(at, server)
    const { name, profile } = ownGrant(auth, server)
    const [provider = '', ...rest] = name.split(':')
    const mine = { mine: true, user: undefined, serviceAccount: undefined, ofProject: undefined, profile }
    const kept = { noTest: false, force: false, output: undefined } as const
    if (provider === 'oauth')
      await giveOAuthGrant(
        { name: rest.join(':'), server, for: 'me', profile, device: device || undefined },
        { target: at, context, noBrowser, detach: false },
      )
    else if (provider === 'mcp')
      await giveMcpGrant(
        { word: name, server, urls: [], stdin: false, ...mine, ...kept },
        { target: () => at, context },
      )
    else {
      const choice = { from: undefined, given: new Map<string, string>(), ask: [], yes: false }
      await giveFromProvider(
        { word: name, host: undefined, urls: [], ...choice, ...mine, ...kept },
        { target: at, context },
      )
    }
    printLines(context.stdout, [`server/${server} connected`])
    return 0
  },
})

function ownGrant(
  auth: ServerAuth,
  server: string,
): { readonly name: string; readonly profile: string | undefined } {
  if (auth.grant === undefined)
    throw usage('this server uses no grant', `castellan describe server ${server}`)
  const name = grantWord(auth.grant)
  const { whose = 'shared', profile } = auth
  if (whose === 'shared')
    throw usage(
      'this server calls with one grant for everybody',
      `an administrator gives it: ${giveCommand(name, server)}`,
    )
  if (whose === 'per-project')
    throw usage(
      'this server calls with the grant of each project',
      `give it for one: ${giveCommand(name, server)} --project NAME`,
    )
  return { name, profile }
}

function giveCommand(name: string, server: string): string {
  const [provider = '', qualifier = ''] = name.split(':')
  if (provider !== 'oauth' && provider !== 'mcp') return `castellan grant ${name}`
  return `castellan grant ${provider} ${qualifier} --server ${server}`
}
