import { z } from 'zod'
import { Name } from './define-kind.ts'

/** `view` reads, `create`, `edit` and `delete` change, `run` uses: calls tools, attaches a server, injects a secret. */
export const ROLES = ['view', 'create', 'edit', 'delete', 'run'] as const
export type Role = (typeof ROLES)[number]

/** A plural such as `servers`, or `*`. Which words there are is checked where the kinds are known. */
const Word = z.string().regex(/^(?:\*|[a-z][a-z-]{0,39})$/, 'must be a word such as servers, or *')

const ResourceBinding = z.strictObject({
  role: z.enum(ROLES).describe('What may be done. `edit` includes `view`; nothing else includes another.'),
  resource: Word.describe('The plural of a kind, `tools`, `audit` …; `*` is all of them.'),
  name: z
    .string()
    .regex(/^[\x21-\x7e]{1,253}$/, 'must be 1 to 253 visible ASCII characters')
    .optional()
    .describe('Only those by this name; a glob (`github__*`).'),
  project: Name.optional().describe('Only what is in this project.'),
})

const OperationBinding = z.strictObject({
  role: z.literal('run').describe('Always run.'),
  action: Word.describe(
    'An operation: `logs`, `impersonate` …; `*` is all of them, those of later versions too.',
  ),
})

/** One right: a role on resources, or an operation. */
export const Binding = z.union([ResourceBinding, OperationBinding])
export type Binding = z.output<typeof Binding>
export type ResourceBinding = z.output<typeof ResourceBinding>

export const isOperation = (binding: Binding): binding is z.output<typeof OperationBinding> =>
  'action' in binding

/** `role:view,resource:servers,name:x`, as it is written on a command line. */
export const bindingText = (binding: Binding): string =>
  isOperation(binding)
    ? `action:${binding.action}`
    : [
        `role:${binding.role}`,
        `resource:${binding.resource}`,
        ...(binding.name === undefined ? [] : [`name:${binding.name}`]),
        ...(binding.project === undefined ? [] : [`project:${binding.project}`]),
      ].join(',')

/** What an administrator holds: everything there is and will be. */
export const EVERYTHING: readonly Binding[] = [
  ...ROLES.map((role) => ({ role, resource: '*' })),
  { role: 'run', action: '*' },
]

/** What it takes to say how people sign in, or where their sign-ins are shown. */
export const SIGN_IN_NEEDS: readonly Binding[] = [
  { role: 'edit', resource: '*' },
  { role: 'run', action: '*' },
]
