import { expect, test } from 'vitest'
import {
  grantChangesSince,
  lastGrantChange,
  listGrants,
  removeGrant,
  saveGrant,
  type StoredGrant,
} from '../../src/store/grants.ts'
import { listSealingKeys } from '../../src/store/sealed.ts'
import type { Store } from '../../src/store/store.ts'

const grant = (name: string, version: number, fields: readonly string[] = ['access_token']): StoredGrant => ({
  row: {
    uid: `grt_${name}`,
    key: `default//oauth:${name}`,
    profile: 'default',
    holder: '',
    name: `oauth:${name}`,
    server: 'notes',
    origins: '["https://mcp.example"]',
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
    for (const one of [b, a]) expect(await saveGrant(store(), one, true)).toBe(true)
    expect(await listGrants(store().control)).toEqual([a, b])
    expect(await listGrants(store().control, { name: 'oauth:a' })).toEqual([a])
    expect(await listSealingKeys(store().control)).toEqual(['k1'])
    const later = grant('a', 2, [])
    expect(await saveGrant(store(), later, true)).toBe(true)
    expect(await listGrants(store().control, { name: 'oauth:a' })).toEqual([later])
  })

  test('of two who change one version, one is told that the other was faster, and changes nothing', async () => {
    const { control } = store()
    expect(await saveGrant(store(), grant('a', 2), true)).toBe(false)
    const first = await Promise.all([
      saveGrant(store(), grant('a', 1), true),
      saveGrant(store(), grant('a', 1), true),
    ])
    expect(first.filter(Boolean)).toHaveLength(1)
    const second = await Promise.all([
      saveGrant(store(), grant('a', 2, ['access_token']), true),
      saveGrant(store(), grant('a', 2, ['refresh_token']), true),
    ])
    expect(second.filter(Boolean)).toHaveLength(1)
    const [kept] = await listGrants(control)
    expect(kept).toEqual(grant('a', 2, second[0] ? ['access_token'] : ['refresh_token']))
  })

  test('it goes with its secrets', async () => {
    const { control } = store()
    await saveGrant(store(), grant('a', 1), true)
    await removeGrant(store(), 'default//oauth:a', 2)
    expect(await listGrants(control)).toEqual([])
    expect(await listSealingKeys(control)).toEqual([])
    expect(await saveGrant(store(), grant('a', 1), true)).toBe(true)
  })

  test('what others must not go on with is told in the order of the commits, and forgotten after a while', async () => {
    const { control } = store()
    const since = await lastGrantChange(control)
    await saveGrant(store(), grant('told', 1), true)
    await saveGrant(store(), grant('quiet', 1), false)
    await Promise.all([
      removeGrant(store(), 'default//oauth:told', 1_700_000_000_000),
      removeGrant(store(), 'default//oauth:quiet', 1_700_000_000_000),
    ])
    const { seq, keys } = await grantChangesSince(control, since)
    expect(seq).toBe(since + 3)
    expect(keys?.toSorted()).toEqual(['default//oauth:quiet', 'default//oauth:told', 'default//oauth:told'])
    expect(await grantChangesSince(control, seq)).toEqual({ seq, keys: [] })
    await removeGrant(store(), 'default//oauth:late', 1_700_000_000_000 + 3600_000)
    // Some of what happened since then is not known any more.
    if (since > 0) expect((await grantChangesSince(control, since)).keys).toBeUndefined()
    expect((await grantChangesSince(control, seq)).keys).toBeUndefined()
    expect(await grantChangesSince(control, seq + 1)).toEqual({ seq: seq + 1, keys: [] })
  })
}
