import { z } from 'zod'
import { defineKind, LongName, type ResourceOf, type SpecOf } from './define-kind.ts'

export const SignIn = defineKind({
  kind: 'SignIn',
  plural: 'signins',
  short: ['signin', 'si'],
  scope: 'global',
  name: LongName,
  uidPrefix: 'sgn',
  systemMade: true,
  summary: 'A user who is signed in somewhere; deleting it signs them out there.',
  spec: z.strictObject({
    user: LongName.describe('Who.'),
    userUid: z.string().describe('That very user: one who is made again by the same name is another.'),
    method: z.string().describe('`password`, or the name of the identity provider.'),
    from: z.string().optional().describe('What signed in, as it called itself.'),
    expiresAt: z.string().describe('When it ends.'),
  }),
  status: z.strictObject({}),
  applyOrder: 60,
  columns: [
    { header: 'NAME', of: (signIn) => signIn.metadata.name },
    { header: 'USER', of: (signIn) => signIn.spec.user },
    { header: 'METHOD', of: (signIn) => signIn.spec.method },
    { header: 'FROM', of: (signIn) => signIn.spec.from },
    { header: 'SINCE', of: (signIn) => signIn.metadata.createdAt },
    { header: 'EXPIRES', of: (signIn) => signIn.spec.expiresAt },
  ],
  example: {
    user: 'ada',
    userUid: 'usr_01jd0000000000000000000000',
    method: 'password',
    expiresAt: '2030-01-31T12:00:00.000Z',
  },
})

export type SignIn = ResourceOf<typeof SignIn>
export type SignInSpec = SpecOf<typeof SignIn>
