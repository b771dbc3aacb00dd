import { z } from 'zod'
import { defineKind, LongName, type ResourceOf, type SpecOf } from './define-kind.ts'

export const ServiceAccount = defineKind({
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  short: ['serviceaccount', 'sa'],
  scope: 'global',
  name: LongName,
  uidPrefix: 'sva',
  summary: 'A program that calls with Tokens of its own, rights and all; it never signs in.',
  spec: z.strictObject({
    description: z.string().max(2000).optional().describe('For people.'),
    disabled: z
      .boolean()
      .default(false)
      .describe('All of its tokens are refused at once, until it is taken back.'),
  }),
  status: z.strictObject({}),
  applyOrder: 5,
  columns: [
    { header: 'NAME', of: (account) => account.metadata.name },
    { header: 'STATUS', of: (account) => (account.spec.disabled ? 'disabled' : 'active') },
    { header: 'DESCRIPTION', of: (account) => account.spec.description },
  ],
  example: { description: 'nightly build' },
})

export type ServiceAccount = ResourceOf<typeof ServiceAccount>
export type ServiceAccountSpec = SpecOf<typeof ServiceAccount>
