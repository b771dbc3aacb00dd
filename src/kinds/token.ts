import { z } from 'zod'
import { defineKind, type ResourceOf, type SpecOf } from './define-kind.ts'
import { expiryOf } from './token-ttl.ts'

export const Token = defineKind({
  kind: 'Token',
  plural: 'tokens',
  short: ['tok', 'token'],
  scope: 'project',
  uidPrefix: 'tok',
  summary: 'A credential for a client, bound to one project; shown once, stored as a digest.',
  spec: z.strictObject({
    description: z.string().max(2000).optional().describe('For people.'),
    ttl: z
      .string()
      .regex(
        /^(?:never|[1-9]\d{0,5}[smhdw]|\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?Z)?)$/,
        'must be never, a duration such as 30d or 12h, or a date (UTC)',
      )
      .default('never')
      .describe(
        'How long it is valid, counted from its creation: `never`, a duration (`30d`, `12h`) or a date.',
      ),
    revoked: z.boolean().default(false).describe('A revoked token is refused at once; its record stays.'),
  }),
  status: z.strictObject({
    prefix: z.string().describe('First characters, to recognise it by.'),
    expiresAt: z.string().optional().describe('When it ends; absent: never.'),
    lastUsedAt: z
      .string()
      .optional()
      .describe('About when it was last used (written once a minute at most).'),
    state: z.enum(['active', 'expired', 'revoked']),
  }),
  applyOrder: 40,
  check: ({ ttl }) => {
    const expiry = expiryOf(ttl, 0)
    return expiry.ok ? [] : [`spec.ttl: ${expiry.error}`]
  },
  checkNew: ({ ttl }, nowMs) => {
    const expiry = expiryOf(ttl, nowMs)
    return expiry.ok && expiry.value !== undefined && expiry.value <= nowMs
      ? ['spec.ttl: lies in the past']
      : []
  },
  checkChange: (before, after) => [
    ...(before.ttl === after.ttl
      ? []
      : ['spec.ttl: is fixed when a Token is created; make a new Token instead']),
    ...(before.revoked && !after.revoked
      ? ['spec.revoked: cannot be taken back; make a new Token instead']
      : []),
  ],
  columns: [
    { header: 'NAME', of: (token) => token.metadata.name },
    { header: 'PROJECT', of: (token) => token.metadata.project },
    { header: 'PREFIX', of: (token) => token.status.prefix },
    { header: 'CREATED', of: (token) => token.metadata.createdAt },
    { header: 'LAST USED', of: (token) => token.status.lastUsedAt ?? 'never' },
    { header: 'EXPIRES', of: (token) => token.status.expiresAt ?? 'never' },
    { header: 'STATUS', of: (token) => token.status.state },
    { header: 'DESCRIPTION', wide: true, of: (token) => token.spec.description },
  ],
  example: { description: 'laptop of Ada', ttl: '30d' },
})

export type Token = ResourceOf<typeof Token>
export type TokenSpec = SpecOf<typeof Token>
