import { z } from 'zod'
import { defineKind, LongName, type ResourceOf, type SpecOf } from './define-kind.ts'
import { Subject, subjectProblems } from './subject.ts'

export const Group = defineKind({
  kind: 'Group',
  plural: 'groups',
  short: ['group', 'grp'],
  scope: 'global',
  name: LongName,
  uidPrefix: 'grp',
  summary: 'Users, service accounts and other groups that share rights.',
  spec: z.strictObject({
    description: z.string().max(2000).optional().describe('For people.'),
    members: z
      .array(Subject)
      .max(5000)
      .default([])
      .describe('Who belongs to it: Users, ServiceAccounts and Groups. They may be named before they exist.'),
    claims: z
      .array(z.string().min(1).max(255))
      .max(100)
      .default([])
      .describe(
        'Whoever signed in at an identity provider that says one of these in its groups claim belongs to it too.',
      ),
  }),
  status: z.strictObject({}),
  applyOrder: 6,
  check: ({ members }) => [
    ...subjectProblems('spec.members', members),
    ...members.flatMap(({ kind }, i) =>
      kind === 'Token' ? [`spec.members[${i}]: a Token is no member; bind it with a RoleBinding`] : [],
    ),
  ],
  columns: [
    { header: 'NAME', of: (group) => group.metadata.name },
    { header: 'MEMBERS', of: (group) => group.spec.members.length },
    { header: 'CLAIMS', of: (group) => group.spec.claims.join(',') || undefined },
    { header: 'DESCRIPTION', wide: true, of: (group) => group.spec.description },
  ],
  example: { members: [{ kind: 'User', name: 'ada' }] },
})

export type Group = ResourceOf<typeof Group>
export type GroupSpec = SpecOf<typeof Group>
