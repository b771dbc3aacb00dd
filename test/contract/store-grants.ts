import { expect, test } from 'vitest'
import { listGrants, removeGrant, saveGrant, type StoredGrant } from '../../src/store/grants.ts'
import { listSealingKeys } from '../../src/store/sealed.ts'
import type { Store } from '../../src/store/store.ts'

const grant = (name: string, version: number, fields: readonly string[] = ['access_token']): StoredGrant => ({
  row: {
    uid: `grt_${name}`,
    name: `oauth:${name}`,
    server: 'notes',
    origin: 'https://mcp.example',
    state: `{"version":${version}}`,
    version,
    updated_at_ms: 1_700_000_000_000,
  },
  sealed: fields.map((field) => ({
    uid: `grt_${name}`,
    field,
    key_id: 'k1',
    wrapped_key: 'd2',
    nonce: `n${version}`,
    ciphertext: 'Yw==',
  })),
})

export function storeGrantsContract(store: () => Store): void {
  test('a grant is kept with exactly its secrets, and found by name', async () => {
    const [b, a] = [
      grant('b', 1),
      grant('a', 1, ['access_token', 'client_secret https://as', 'refresh_token']),
    ]
    for (const one of [b, a]) expect(await saveGrant(store().control, one)).toBe(true)
    expect(await listGrants(store().control)).toEqual([a, b])
    expect(await listGrants(store().control, 'oauth:a')).toEqual([a])
    expect(await listSealingKeys(store().control)).toEqual(['k1'])
    const later = grant('a', 2, [])
    expect(await saveGrant(store().control, later)).toBe(true)
    expect(await listGrants(store().control, 'oauth:a')).toEqual([later])
  })

  test('of two who change one version, one is told that the other was faster, and changes nothing', async () => {
    const { control } = store()
    expect(await saveGrant(control, grant('a', 2))).toBe(false)
    const first = await Promise.all([saveGrant(control, grant('a', 1)), saveGrant(control, grant('a', 1))])
    expect(first.filter(Boolean)).toHaveLength(1)
    const second = await Promise.all([
      saveGrant(control, grant('a', 2, ['access_token'])),
      saveGrant(control, grant('a', 2, ['refresh_token'])),
    ])
    expect(second.filter(Boolean)).toHaveLength(1)
    const [kept] = await listGrants(control)
    expect(kept).toEqual(grant('a', 2, second[0] ? ['access_token'] : ['refresh_token']))
  })

  test('it goes with its secrets', async () => {
    const { control } = store()
    await saveGrant(control, grant('a', 1))
    await removeGrant(control, 'oauth:a')
    expect(await listGrants(control)).toEqual([])
    expect(await listSealingKeys(control)).toEqual([])
    expect(await saveGrant(control, grant('a', 1))).toBe(true)
  })
}
