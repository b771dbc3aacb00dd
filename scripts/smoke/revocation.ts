import { setTimeout as sleep } from 'node:timers/promises'
import { McpFailure } from '../../src/cli/mcp/exchange.ts'
import { must, Skipped } from './check.ts'
import { knock } from './knock.ts'
import type { Place } from './place.ts'

/** What a revocation may take, everywhere. */
const REVOKED_WITHIN_MS = 5000

/** Makes a token, uses it, revokes it: neither it nor the session that it has open may get through any more. */
export async function revocation(place: Place): Promise<string> {
  const { operator } = place
  if (operator === undefined)
    throw new Skipped('set SMOKE_OPERATOR_TOKEN to what may make and revoke tokens of the project')
  const { secret, revoke } = await makeToken(place, operator)
  const client = await place.connect(secret)
  await client.request('tools/list', {})
  const began = performance.now()
  await revoke()
  while ((await knock(place, secret)).status !== 401) {
    must(performance.now() - began < REVOKED_WITHIN_MS, 'it was still let in')
    await sleep(50)
  }
  const after = Math.round(performance.now() - began)
  const cut = await client.request('tools/list', {}).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  must(cut instanceof McpFailure && cut.exit === 1, 'the session that it had open was still served')
  return `after ${after} ms, and so is the session that it had open`
}

async function makeToken(
  place: Place,
  operator: string,
): Promise<{ readonly secret: string; readonly revoke: () => Promise<void> }> {
  const name = `smoke-${Date.now().toString(36)}`
  const path = `api/v1/tokens/${name}?project=${place.project}`
  const json = { 'content-type': 'application/json' }
  const made = await place.fetch(`api/v1/tokens?project=${place.project}`, operator, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name, project: place.project },
      spec: { description: 'made by the smoke test', ttl: '10m' },
    }),
  })
  must(made.status === 201, `a token could not be made: status ${made.status}`)
  place.later(() => place.fetch(path, operator, { method: 'DELETE' }))
  const { secret } = (await made.json()) as { readonly secret: string }
  return {
    secret,
    async revoke() {
      const body = JSON.stringify({ spec: { revoked: true } })
      const { status } = await place.fetch(path, operator, { method: 'PATCH', headers: json, body })
      must(status === 200, `it could not be revoked: status ${status}`)
    },
  }
}
