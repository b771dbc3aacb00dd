import { createObject, unlessEmpty } from '../create-object.ts'
import { choice, defineCommand, flag, list, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { secretRef } from '../pair-options.ts'

const FORM = '--client-secret SECRET/KEY'

export const createIdentityProvider = defineCommand({
  arguments: ['<name>'],
  options: {
    issuer: text('--issuer <url>', 'its issuer identifier, as its discovery document says'),
    clientId: text('--client-id <id>', 'who we are there'),
    clientSecret: text(
      '--client-secret <SECRET/KEY>',
      'a key of a secret that proves it; none: a public client',
    ),
    scope: list('--scope <scope>', 'what is asked for (default: openid, profile, email); repeatable'),
    usernameClaim: text('--username-claim <claim>', 'what becomes the name of a user (default: email)'),
    groupsClaim: text('--groups-claim <claim>', 'what names groups (default: groups)'),
    users: choice('--users <who>', 'whether a first sign-in makes a user (default: create)', [
      'create',
      'existing',
    ]),
    domain: list('--domain <domain>', 'only verified mail addresses in this domain; repeatable'),
    keepTokens: flag('--keep-tokens', 'keep what it issues, sealed: for servers that say whose: caller'),
  },
  about:
    'People sign in there with castellan login --provider NAME. The address to register at the provider is that of the daemon with /oauth/sign-in/callback behind it.',
  examples: [
    'castellan create identityprovider company --issuer https://login.example.com --client-id castellan --client-secret company/client-secret --domain example.com',
  ],
  run(given) {
    const {
      args: [name = ''],
      options: { scope, domain, clientSecret, keepTokens, ...options },
    } = given
    if (options.issuer === undefined || options.clientId === undefined)
      throw usage('an issuer and a client id are needed', 'add: --issuer URL --client-id ID')
    const spec = {
      ...options,
      clientSecret: clientSecret === undefined ? undefined : { secretRef: secretRef(clientSecret, FORM) },
      scopes: unlessEmpty(scope),
      domains: unlessEmpty(domain),
      keepTokens: keepTokens ? true : undefined,
    }
    return createObject(given, { kind: 'IdentityProvider', plural: 'identityproviders', name, spec })
  },
})
