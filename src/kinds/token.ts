import { z } from 'zod'
import { Binding, bindingText } from './binding.ts'
import { defineKind, LongName, type ResourceOf, type SpecOf } from './define-kind.ts'
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
    owner: z
      .strictObject({
        kind: z.enum(['User', 'ServiceAccount']).describe('What it is.'),
        name: LongName.describe('Its name.'),
      })
      .optional()
      .describe(
        'Whose it is: it can never do what they cannot. Set to whoever creates it; absent: the administrator of the host.',
      ),
    bindings: z
      .array(Binding)
      .max(1000)
      .optional()
      .describe(
        'What it may do in its project, of what its owner may. Absent: use the project, with all of its tools; none: nothing but what RoleBindings give it.',
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
    state: z
      .enum(['active', 'expired', 'revoked', 'orphaned'])
      .describe('`orphaned`: its owner is gone or disabled.'),
    ownerUid: z
      .string()
      .optional()
      .describe('The very owner: one who is made again by the same name is another.'),
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
    ...(before.owner?.kind === after.owner?.kind && before.owner?.name === after.owner?.name
      ? []
      : ['spec.owner: is fixed when a Token is created; make a new Token instead']),
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
    {
      header: 'OWNER',
      wide: true,
      of: ({ spec: { owner } }) => (owner === undefined ? undefined : `${owner.kind}:${owner.name}`),
    },
    { header: 'BINDINGS', wide: true, of: (token) => token.spec.bindings?.map(bindingText).join(' ') },
    { header: 'DESCRIPTION', wide: true, of: (token) => token.spec.description },
  ],
  example: { description: 'laptop of Ada', ttl: '30d' },
})

export type Token = ResourceOf<typeof Token>
export type TokenSpec = SpecOf<typeof Token>
