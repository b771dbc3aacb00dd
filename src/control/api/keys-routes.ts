import { z } from 'zod'
import { SecretValue } from '../../lib/secret-value.ts'
import { renderKeys, type KeyReport } from '../render/keys.ts'
import { readJson } from './read-json.ts'
import type { ApiRecord } from './record.ts'
import { json, oneOf, text, type Call, type FixedRoute } from './route.ts'

/** The master keys of the store, as the daemon sees them. */
export interface KeySupervision {
  report(): Promise<KeyReport>
  /**
   * Begins to put another master key in the place of the one in use.
   *
   * @returns the id of the new key
   * @throws Fault `conflict`, `invalid`
   */
  rotate(request: { readonly key?: SecretValue | undefined; readonly keepOld: boolean }): Promise<string>
}

export interface KeyRouteDeps {
  readonly keys: KeySupervision
  readonly record: ApiRecord
  readonly clock: { readonly nowMs: () => number }
}

/** No route shows a key. */
export const keyRoutes = (deps: KeyRouteDeps): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/keys',
    summary: 'Master keys: which is in use, what each has sealed, which daemon starts with which.',
    query: { output: 'table or json; default json.' },
    permission: { operation: 'keys' },
    answer: { status: 200, types: ['application/json', 'text/plain'] },
    async handle({ query }) {
      const output = oneOf('output', query['output'] ?? 'json', ['table', 'json'])
      const report = await deps.keys.report()
      return output === 'json' ? json(report) : text(renderKeys(report, deps.clock.nowMs()))
    },
  },
  {
    method: 'POST',
    path: '/api/v1/keys/rotate',
    summary: 'Puts another master key in the place of the one in use, and seals every value anew.',
    takesBody: true,
    permission: { operation: 'keys' },
    answer: { status: 202, types: ['application/json'] },
    handle: (call) => rotate(deps, call),
  },
]

const Rotate = z.strictObject({
  /** What a key file holds. */
  key: z.string().max(1024).optional(),
  keepOld: z.boolean().default(false),
})

async function rotate({ keys, record }: KeyRouteDeps, call: Call): Promise<Response> {
  const { key, keepOld } = await readJson(call.request, Rotate)
  return record.act(call, { verb: 'run', kind: 'rotate-key' }, async () => {
    const newKey = await keys.rotate({ key: key === undefined ? undefined : new SecretValue(key), keepOld })
    return json({ newKey }, 202)
  })
}
