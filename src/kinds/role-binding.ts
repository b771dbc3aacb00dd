import { z } from 'zod'
import { Binding, bindingText } from './binding.ts'
import { defineKind, LongName, type ResourceOf, type SpecOf } from './define-kind.ts'
import { Subject, subjectKey, subjectProblems } from './subject.ts'

export const RoleBinding = defineKind({
  kind: 'RoleBinding',
  plural: 'rolebindings',
  short: ['rolebinding', 'rb'],
  scope: 'global',
  name: LongName,
  uidPrefix: 'rbd',
  summary: 'Gives rights to users, groups, tokens and service accounts: the only source of rights there is.',
  spec: z.strictObject({
    subjects: z.array(Subject).min(1).max(1000).describe('Who is given the rights.'),
    bindings: z.array(Binding).min(1).max(1000).describe('The rights. Nobody can give more than they hold.'),
  }),
  status: z.strictObject({}),
  applyOrder: 50,
  check: ({ subjects }) => subjectProblems('spec.subjects', subjects),
  columns: [
    { header: 'NAME', of: (binding) => binding.metadata.name },
    { header: 'SUBJECTS', of: (binding) => binding.spec.subjects.map(subjectKey).join(' ') },
    { header: 'BINDINGS', of: (binding) => binding.spec.bindings.map(bindingText).join(' ') },
  ],
  example: {
    subjects: [{ kind: 'Group', name: 'platform' }],
    bindings: [
      { role: 'edit', resource: 'servers' },
      { role: 'run', action: 'logs' },
    ],
  },
})

export type RoleBinding = ResourceOf<typeof RoleBinding>
export type RoleBindingSpec = SpecOf<typeof RoleBinding>
