import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { GrantTester } from '../control/api/grants/grant-tester.ts'
import { grantUse } from '../gateway/inject/grants.ts'
import { readGrantId } from '../grants/grant-id.ts'
import { namedGrant } from '../grants/named-grant.ts'
import type { Grant } from '../grants/grant.ts'
import type { Grants } from '../grants/grants.ts'
import { isPerson } from '../grants/mend.ts'
import { isBoundTo } from '../grants/origins.ts'
import type { Verdict } from '../grants/providers/define-provider.ts'
import { isForExchange } from '../grants/report.ts'
import type { ProviderRegistry } from '../grants/providers/registry.ts'
import { testGrant } from '../grants/providers/test-grant.ts'
import type { HttpSpec } from '../kinds/server.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { createFetcher, type Fetcher } from '../oauth/client/guarded-fetch.ts'

export interface GrantTesterDeps {
  readonly grants: Pick<Grants, 'stored' | 'fetcherFor' | 'current' | 'ready' | 'refused'>
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly providers: ProviderRegistry
  readonly env: Readonly<Record<string, string | undefined>>
}

const TIMEOUT_MS = 10_000
/** A server of either era answers 401 before it looks at the method. */
const ASK = JSON.stringify({
  jsonrpc: '2.0',
  id: 'castellan-test',
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
})

/** Tests grants: those of a provider by a call of its own, those of Servers at a Server that names them. */
export function createGrantTester(deps: GrantTesterDeps): GrantTester & { close(): Promise<void> } {
  const { grants } = deps
  /** Whoever gives a grant of their own says where it is tested: that must not be inside. */
  let outside: Fetcher | undefined

  async function atProvider(grant: Grant): Promise<Verdict> {
    const { provider: word, qualifier = '' } = readGrantId(grant.name)
    const provider = (await deps.providers.current()).need(word)
    const [origin = 'https://invalid'] = grant.origins
    const sender = isPerson(grant)
      ? (outside ??= createFetcher({ loopback: false, hosts: new Set() }))
      : grants.fetcherFor(origin)
    return testGrant(
      {
        provider,
        qualifier,
        values: { shown: grant.settings, secret: openValues(grant) },
        allows: (url) => isBoundTo(grant.origins, new URL(url).origin),
      },
      { sender, tools: { env: deps.env } },
    )
  }

  async function atServer(grant: Grant, { name, spec }: Named, isSeen: boolean): Promise<Verdict> {
    const called = isSeen ? name : 'a server that uses it'
    const view = { uid: '', name, spec, fingerprint: '', holder: grant.holder }
    const use = grantUse(grants, view, spec)
    if (use === undefined) return unknown(`${called} does not use it any more`)
    const credential = await grants.ready(use.grant, use.purpose)
    if (!credential.ok)
      return { state: 'invalid', message: isSeen ? credential.error.message : NOTHING_TO_SEND }
    const url = new URL(spec.url)
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'server/discover',
    }
    const sent = use.place({ path: url.pathname + url.search, headers }, credential.value)
    const init = { method: 'POST', headers: sent.headers, body: ASK }
    const status = await grants
      .fetcherFor(url.origin)
      .send(url.origin + sent.path, init, TIMEOUT_MS)
      .then(
        (answer) => answer.status,
        () => undefined,
      )
    if (status === undefined) return unknown(`${called} cannot be reached; try again later`)
    if (status === 401 || status === 403)
      return { state: 'invalid', message: `${called} refuses it (HTTP status ${status})` }
    return status >= 500 || (status >= 300 && status < 400)
      ? unknown(`${called} answers with status ${status}, which tells nothing`)
      : { state: 'valid', message: `${called} accepts it` }
  }

  return {
    async test(key, sees) {
      const grant = await grants.stored(key)
      if (grant === undefined) return undefined
      if (isForExchange(grant) && grant.oauth?.tokens === undefined)
        return unknown('nobody authorizes it: it shows itself when somebody who is signed in calls')
      const server = serverFor(deps.snapshot, grant)
      if (server !== undefined) return atServer(grant, server, sees(server.name))
      const { provider } = readGrantId(grant.name)
      return provider === 'oauth' || provider === 'mcp'
        ? unknown('no server uses it yet; name it in spec.auth of the one that it is for')
        : atProvider(grant)
    },
    async close() {
      await outside?.close()
    },
  }
}

const NOTHING_TO_SEND = 'there is nothing of it to send; castellan grant show says how it stands'

interface Named {
  readonly name: string
  readonly spec: HttpSpec
}

const unknown = (message: string): Verdict => ({ state: 'unknown', message })

/** One that names the grant and where it may be sent: the one that it was given for before others. */
function serverFor({ state }: Pick<SnapshotSource, 'state'>, grant: Grant): Named | undefined {
  const found: Named[] = []
  for (const { name, spec } of state().servers.values()) {
    if (spec.transport === 'stdio') continue
    const named = namedGrant(spec)
    const isIts = named?.name === grant.name && named.profile === grant.profile
    if (isIts && isBoundTo(grant.origins, new URL(spec.url).origin)) found.push({ name, spec })
  }
  return found.find(({ name }) => name === grant.server) ?? found[0]
}

const openValues = ({ values }: Grant): Record<string, SecretValue> =>
  Object.fromEntries(Object.entries(values).map(([field, held]) => [field, held.open()]))
