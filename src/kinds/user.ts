import { z } from 'zod'
import { defineKind, LongName, type ResourceOf, type SpecOf } from './define-kind.ts'

export const User = defineKind({
  kind: 'User',
  plural: 'users',
  short: ['user', 'u'],
  scope: 'global',
  name: LongName,
  uidPrefix: 'usr',
  summary: 'A person who signs in: with a password that is kept here, or at an identity provider.',
  spec: z.strictObject({
    displayName: z.string().max(200).optional().describe('For people.'),
    email: z.string().max(320).optional().describe('For people; nothing is decided by it.'),
    disabled: z
      .boolean()
      .default(false)
      .describe('Refused at once, with all tokens that are theirs, until it is taken back.'),
    identity: z
      .strictObject({
        provider: z.string().min(1).max(40).describe('Name of the IdentityProvider.'),
        subject: z
          .string()
          .min(1)
          .max(255)
          .describe('Its `sub` claim there: the only thing that it never gives to another.'),
      })
      .optional()
      .describe('Who this is at an identity provider; set by the first sign-in there.'),
  }),
  status: z.strictObject({
    password: z.boolean().default(false).describe('Whether a password is set.'),
    claims: z
      .array(z.string())
      .default([])
      .describe('Groups that the identity provider named at the last sign-in.'),
    lastSignInAt: z.string().optional().describe('When they last signed in.'),
    state: z.enum(['active', 'disabled']).default('active'),
  }),
  applyOrder: 5,
  columns: [
    { header: 'NAME', of: (user) => user.metadata.name },
    { header: 'DISPLAY NAME', of: (user) => user.spec.displayName },
    {
      header: 'SIGNS IN WITH',
      of: (user) => signsInWith(user.spec.identity?.provider, user.status.password),
    },
    { header: 'LAST SIGN-IN', of: (user) => user.status.lastSignInAt ?? 'never' },
    { header: 'STATUS', of: (user) => (user.spec.disabled ? 'disabled' : 'active') },
    { header: 'EMAIL', wide: true, of: (user) => user.spec.email },
  ],
  example: { displayName: 'Ada Lovelace', email: 'ada@example.com' },
})

const signsInWith = (provider: string | undefined, password: boolean): string | undefined =>
  [...(password ? ['password'] : []), ...(provider === undefined ? [] : [provider])].join(', ') || undefined

export type User = ResourceOf<typeof User>
export type UserSpec = SpecOf<typeof User>
