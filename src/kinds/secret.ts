import { z } from 'zod'
import { defineKind, type ResourceOf } from './define-kind.ts'

const Key = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be 1 to 128 of A-Z, a-z, 0-9, ".", "_" and "-"')

export const Secret = defineKind({
  kind: 'Secret',
  plural: 'secrets',
  short: ['sec', 'secret'],
  scope: 'global',
  uidPrefix: 'sec',
  summary: 'Named values, sealed when they arrive and never shown again.',
  spec: z.strictObject({
    data: z
      .record(Key, z.string().min(1).max(65_536).nullable())
      .refine((data) => Object.keys(data).length <= 256, 'at most 256 keys')
      .describe(
        'Key to value. Read back, each value is null; applied again, null keeps the value that is stored.',
      ),
  }),
  status: z.strictObject({
    sizes: z.record(z.string(), z.number()).describe('Length of each value, in bytes.'),
  }),
  applyOrder: 10,
  secrets: {
    path: 'spec.data',
    of: (spec) => spec.data,
    withhold: (spec) => ({
      ...spec,
      data: Object.fromEntries(Object.keys(spec.data).map((key) => [key, null])),
    }),
  },
  columns: [
    { header: 'NAME', of: (secret) => secret.metadata.name },
    { header: 'KEYS', of: (secret) => Object.keys(secret.spec.data).sort().join(',') },
    { header: 'UPDATED', of: (secret) => secret.metadata.updatedAt },
  ],
  example: { data: { token: 'value' } },
})

export type Secret = ResourceOf<typeof Secret>
