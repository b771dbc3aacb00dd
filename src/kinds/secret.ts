import { z } from 'zod'
import { defineKind, type ResourceOf } from './define-kind.ts'

const Key = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be 1 to 128 of A-Z, a-z, 0-9, ".", "_" and "-"')

/** The backend of a Secret that names none: our own store. */
export const ENCRYPTED = 'encrypted'
const MAX_KEYS = 256
const isBounded = (values: object): boolean => Object.keys(values).length <= MAX_KEYS
const TOO_MANY = `at most ${MAX_KEYS} keys`

const Spec = z.strictObject({
  data: z
    .record(Key, z.string().min(1).max(65_536).nullable())
    .refine(isBounded, TOO_MANY)
    .optional()
    .describe(
      'Key to value. Read back, each value is null; applied again, null keeps the value that is stored.',
    ),
  backend: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be the name of a backend, such as env or file')
    .optional()
    .describe('Where the values are kept, if not sealed in our own store: env, file.'),
  refs: z
    .record(Key, z.string().min(1).max(1024))
    .refine(isBounded, TOO_MANY)
    .optional()
    .describe(
      'With backend, instead of data: key to what the value is called there, such as a variable or the path of a file. Each daemon reads its own.',
    ),
})

const KeyStatus = z.strictObject({
  state: z
    .enum(['ready', 'kept', 'pending', 'absent', 'unusable', 'away'])
    .describe('kept: the backend is away, and the last value is used for up to 15 minutes.'),
  lookedAt: z.string().optional().describe('When it was last looked at.'),
  message: z.string().optional().describe('Why it is not ready.'),
})

/** What a Secret has elsewhere; undefined: its values are sealed here. */
export const elsewhereIn = ({
  backend = ENCRYPTED,
  refs,
}: z.output<typeof Spec>):
  | { readonly backend: string; readonly refs: Readonly<Record<string, string>> }
  | undefined => (backend === ENCRYPTED ? undefined : { backend, refs: refs ?? {} })

const keysOf = ({ data, refs }: z.output<typeof Spec>): readonly string[] => Object.keys(data ?? refs ?? {})

export const Secret = defineKind({
  kind: 'Secret',
  plural: 'secrets',
  short: ['sec', 'secret'],
  scope: 'global',
  uidPrefix: 'sec',
  summary: 'Named values, sealed when they arrive and never shown again, or kept elsewhere and referred to.',
  spec: Spec,
  status: z.strictObject({
    sizes: z.record(z.string(), z.number()).describe('Length of each value, in bytes.'),
    keys: z
      .record(z.string(), KeyStatus)
      .optional()
      .describe('Of values that are kept elsewhere: whether each could be read, by the daemon that answers.'),
    daemon: z.string().optional().describe('Host and process id of the daemon that has looked.'),
  }),
  check: ({ backend = ENCRYPTED, data, refs }) =>
    backend === ENCRYPTED
      ? [
          ...(data === undefined ? ['spec.data: is required'] : []),
          ...(refs === undefined ? [] : ['spec.refs: needs a backend to look in: add backend: env or file']),
        ]
      : [
          ...(refs === undefined ? ['spec.refs: is required with a backend'] : []),
          ...(data === undefined
            ? []
            : ['spec.data: a backend keeps its values itself; leave data or the backend out']),
        ],
  applyOrder: 10,
  secrets: {
    path: 'spec.data',
    of: ({ data }) => data ?? {},
    keys: keysOf,
    withhold: (spec) =>
      spec.data === undefined
        ? spec
        : { ...spec, data: Object.fromEntries(Object.keys(spec.data).map((key) => [key, null])) },
  },
  columns: [
    { header: 'NAME', of: (secret) => secret.metadata.name },
    { header: 'KEYS', of: ({ spec }) => keysOf(spec).toSorted().join(',') },
    { header: 'BACKEND', of: ({ spec }) => spec.backend ?? ENCRYPTED },
    { header: 'STATE', of: ({ status }) => stateText(status.keys) },
    { header: 'UPDATED', of: (secret) => secret.metadata.updatedAt },
  ],
  example: { data: { token: 'value' } },
})

/** `ready`, or what is wrong with which key. */
function stateText(keys: Readonly<Record<string, z.output<typeof KeyStatus>>> | undefined): string {
  const wrong = Object.entries(keys ?? {}).filter(([, { state }]) => state !== 'ready')
  return wrong.length === 0 ? 'ready' : wrong.map(([key, { state }]) => `${key} ${state}`).join(', ')
}

export type Secret = ResourceOf<typeof Secret>
