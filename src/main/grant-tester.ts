import type { GrantTester } from '../control/api/grants/grant-tester.ts'
import { readGrantId } from '../grants/grant-id.ts'
import type { Grant } from '../grants/grant.ts'
import type { Grants } from '../grants/grants.ts'
import { isBoundTo } from '../grants/origins.ts'
import type { ProviderRegistry } from '../grants/providers/registry.ts'
import { testGrant } from '../grants/providers/test-grant.ts'
import type { SecretValue } from '../lib/secret-value.ts'

export interface GrantTesterDeps {
  readonly grants: Pick<Grants, 'stored' | 'fetcherFor'>
  readonly providers: ProviderRegistry
  readonly env: Readonly<Record<string, string | undefined>>
}

export const createGrantTester = ({ grants, providers, env }: GrantTesterDeps): GrantTester => ({
  async test(key) {
    const grant = await grants.stored(key)
    if (grant === undefined) return undefined
    const { provider: word, qualifier = '' } = readGrantId(grant.name)
    const provider = (await providers.current()).need(word)
    const [origin = 'https://invalid.example'] = grant.origins
    return testGrant(
      {
        provider,
        qualifier,
        values: { shown: grant.settings, secret: openValues(grant) },
        allows: (url) => isBoundTo(grant.origins, new URL(url).origin),
      },
      { sender: grants.fetcherFor(origin), tools: { env } },
    )
  },
})

const openValues = ({ values }: Grant): Record<string, SecretValue> =>
  Object.fromEntries(Object.entries(values).map(([field, held]) => [field, held.open()]))
