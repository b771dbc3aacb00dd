import { isLoopback } from '../lib/loopback.ts'
import { z } from 'zod'
import { defineKind, Name, type ResourceOf, type SpecOf } from './define-kind.ts'

const SecretKey = z.strictObject({
  name: Name.describe('The Secret.'),
  key: z.string().min(1).max(128).describe('The key in it.'),
})

export const IdentityProvider = defineKind({
  kind: 'IdentityProvider',
  plural: 'identityproviders',
  short: ['identityprovider', 'idp'],
  scope: 'global',
  uidPrefix: 'idp',
  summary: 'An OpenID Connect provider at which users sign in.',
  spec: z.strictObject({
    issuer: z
      .url({ protocol: /^https?$/ })
      .max(2048)
      .describe('Its issuer identifier, as its discovery document says; https, but on a loopback address.'),
    clientId: z.string().min(1).max(255).describe('Who we are there.'),
    clientSecret: z
      .strictObject({ secretRef: SecretKey.describe('Where it is kept.') })
      .optional()
      .describe('What proves it; absent: a public client (PKCE is used always).'),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/, 'must be a scope'))
      .max(50)
      .default(['openid', 'profile', 'email'])
      .describe('What is asked for; `openid` is always among them.'),
    usernameClaim: z
      .string()
      .min(1)
      .max(100)
      .default('email')
      .describe('The claim that becomes the name of the User.'),
    groupsClaim: z.string().min(1).max(100).default('groups').describe('The claim that names groups.'),
    users: z
      .enum(['create', 'existing'])
      .default('create')
      .describe('Whether a first sign-in makes a User, or only Users who were made before may sign in.'),
    domains: z
      .array(z.string().regex(/^[a-z0-9.-]{1,253}$/, 'must be a domain in lower case'))
      .max(100)
      .default([])
      .describe('Only verified mail addresses in these domains; empty: everyone that it knows.'),
    keepTokens: z
      .boolean()
      .default(false)
      .describe(
        'Keeps what it issues with a sign-in, sealed, for as long as the user is signed in: servers with `auth.whose: caller` are reached with what is given in exchange for it. Asks for `offline_access`, and for the consent of the user unless `scopes` names it.',
      ),
  }),
  status: z.strictObject({}),
  applyOrder: 15,
  references: ({ clientSecret }) =>
    clientSecret === undefined
      ? []
      : [
          {
            kind: 'Secret',
            name: clientSecret.secretRef.name,
            key: clientSecret.secretRef.key,
            path: 'spec.clientSecret.secretRef',
          },
        ],
  check: ({ issuer }) => {
    const { protocol, hostname, search, hash, username, password } = new URL(issuer)
    return [
      ...(protocol === 'https:' || isLoopback(hostname) ? [] : ['spec.issuer: must be https']),
      ...(search + hash + username + password === '' ? [] : ['spec.issuer: must be a plain address']),
    ]
  },
  // A subject of one issuer is somebody else at another, and Users are linked by it.
  checkChange: (before, after) =>
    before.issuer === after.issuer
      ? []
      : ['spec.issuer: is fixed when an IdentityProvider is created; make a new one instead'],
  columns: [
    { header: 'NAME', of: (provider) => provider.metadata.name },
    { header: 'ISSUER', of: (provider) => provider.spec.issuer },
    { header: 'USERS', of: (provider) => provider.spec.users },
    { header: 'CLIENT', wide: true, of: (provider) => provider.spec.clientId },
  ],
  example: { issuer: 'https://login.example.com', clientId: 'castellan' },
})

export type IdentityProvider = ResourceOf<typeof IdentityProvider>
export type IdentityProviderSpec = SpecOf<typeof IdentityProvider>
