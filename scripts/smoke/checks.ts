import { setTimeout as sleep } from 'node:timers/promises'
import { must, Skipped, type Check } from './check.ts'
import type { Place } from './place.ts'

/** What a revocation may take, everywhere. */
const REVOKED_WITHIN_MS = 5000

const tokenOf = ({ token }: Place): string => {
  if (token === undefined) throw new Skipped('set CASTELLAN_TOKEN to a token of the project')
  return token
}

const operatorOf = ({ operator }: Place): string => {
  if (operator === undefined)
    throw new Skipped('set SMOKE_OPERATOR_TOKEN to what may make and revoke tokens of the project')
  return operator
}

interface Tool {
  readonly name: string
  readonly inputSchema?: { readonly required?: readonly string[] }
  readonly annotations?: { readonly readOnlyHint?: boolean }
}

/** In the order in which somebody would try them. */
export const CHECKS: readonly Check[] = [
  {
    name: 'it answers, and is ready',
    async run(place) {
      for (const probe of ['healthz', 'readyz']) {
        const { status } = await place.fetch(probe, undefined)
        must(status === 200, `/${probe} answered with status ${status}`)
      }
      return undefined
    },
  },
  {
    name: 'nobody gets in without a credential, or with one that is none',
    async run(place) {
      for (const bearer of [undefined, `cst_${'A'.repeat(43)}`]) {
        const answer = await place.fetch(`projects/${place.project}/mcp`, bearer, ping())
        must(answer.status === 401, `status ${answer.status} in place of 401`)
        must(answer.headers.has('www-authenticate'), 'a 401 without WWW-Authenticate')
      }
      return undefined
    },
  },
  {
    name: 'a token lists tools, and calls one that needs nothing',
    async run(place) {
      const client = await place.connect(tokenOf(place))
      try {
        const { tools = [] } = (await client.request('tools/list', {})) as { tools?: readonly Tool[] }
        must(tools.length > 0, 'no tool is listed')
        const harmless = tools.find(isHarmless)
        if (harmless === undefined)
          return `${tools.length} tools; none can be called without arguments, so none was`
        await client.request('tools/call', { name: harmless.name, arguments: {} })
        return `${tools.length} tools, ${harmless.name} called`
      } finally {
        await client.close()
      }
    },
  },
  {
    name: 'contract: names, schemas, errors and identifiers are what clients rely on',
    async run(place) {
      const client = await place.connect(tokenOf(place))
      try {
        const { tools = [] } = (await client.request('tools/list', {})) as { tools?: readonly Tool[] }
        const odd = tools.find(
          ({ name, inputSchema }) => !/^[\w-]{1,64}$/.test(name) || inputSchema === undefined,
        )
        must(
          odd === undefined,
          `the tool ${odd?.name.slice(0, 64) ?? ''} has a name or schema that clients refuse`,
        )
        const refusal = await client.request('tools/call', { name: 'nobody__nothing', arguments: {} }).then(
          () => undefined,
          (error: unknown) => error,
        )
        must(refusal instanceof Error, 'a tool that does not exist was answered without an error')
        return `${client.era}, ${client.protocolVersion}`
      } finally {
        await client.close()
      }
    },
  },
  {
    name: 'another project is refused in the same words, whether or not it exists',
    async run(place) {
      const token = tokenOf(place)
      const texts = new Set<string>()
      for (const project of ['smoke-nothing-by-this-name', await anotherProject(place)]) {
        const answer = await place.fetch(`projects/${project}/mcp`, token, ping())
        must(answer.status === 403, `status ${answer.status} in place of 403`)
        texts.add(await answer.text())
      }
      must(texts.size === 1, 'the two answers differ')
      return undefined
    },
  },
  {
    name: `a token that is revoked is refused within ${REVOKED_WITHIN_MS / 1000} s`,
    run: (place) => revocation(place, operatorOf(place)),
  },
]

const isHarmless = ({ inputSchema, annotations }: Tool): boolean =>
  (inputSchema?.required ?? []).length === 0 && annotations?.readOnlyHint === true

const ping = (): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
})

/** One that exists, where somebody at hand may know. */
async function anotherProject(place: Place): Promise<string> {
  if (place.operator === undefined) return 'smoke-nothing-else'
  const answer = await place.fetch('api/v1/projects', place.operator)
  const { items = [] } = (await answer.json()) as { items?: readonly { metadata: { name: string } }[] }
  return (
    items.map(({ metadata }) => metadata.name).find((name) => name !== place.project) ?? 'smoke-nothing-else'
  )
}

async function revocation(place: Place, operator: string): Promise<string> {
  const name = `smoke-${Date.now().toString(36)}`
  const path = `api/v1/tokens/${name}?project=${place.project}`
  const made = await place.fetch(`api/v1/tokens?project=${place.project}`, operator, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name, project: place.project },
      spec: { description: 'made by the smoke test', ttl: '10m' },
    }),
  })
  must(made.status === 201, `a token could not be made: status ${made.status}`)
  place.later(() => place.fetch(path, operator, { method: 'DELETE' }))
  const { secret } = (await made.json()) as { secret: string }
  const status = async (): Promise<number> => {
    const answer = await place.fetch(`projects/${place.project}/mcp`, secret, ping())
    await answer.body?.cancel()
    return answer.status
  }
  must((await status()) !== 401, 'the new token was not let in')
  const revoked = await place.fetch(path, operator, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ spec: { revoked: true } }),
  })
  must(revoked.status === 200, `it could not be revoked: status ${revoked.status}`)
  const began = performance.now()
  while (performance.now() - began < REVOKED_WITHIN_MS) {
    if ((await status()) === 401) return `after ${Math.round(performance.now() - began)} ms`
    await sleep(50)
  }
  throw new Error('it was still let in')
}
