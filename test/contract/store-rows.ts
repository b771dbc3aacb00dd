import { bumpRevision, insertResource } from '../../src/store/resources.ts'
import type { Store } from '../../src/store/store.ts'
import type { ResourceRow, SealedRow } from '../../src/store/tables.ts'
import { inTransaction } from '../../src/store/transaction.ts'

export type RowWish = Partial<ResourceRow> & { readonly uid: string }

export const resource = (wish: RowWish): ResourceRow => ({
  kind: 'Server',
  project: '',
  name: wish.uid,
  generation: 1,
  labels: '{}',
  annotations: '{}',
  spec: '{}',
  status: '{}',
  created_at_ms: 1_700_000_000_000,
  updated_at_ms: 1_700_000_000_000,
  revision: 0,
  ...wish,
})

/** One resource, in a transaction of its own. */
export const insertAlone = (store: Store, wish: RowWish): Promise<ResourceRow> =>
  inTransaction(store, async (tx) => {
    const row = resource({ ...wish, revision: await bumpRevision(tx) })
    await insertResource(tx, row)
    return row
  })

export const sealed = (uid: string, field: string, key_id = 'mk_1'): SealedRow => ({
  uid,
  field,
  key_id,
  wrapped_key: 'd3JhcHBlZA==',
  nonce: 'bm9uY2U=',
  ciphertext: 'Y2lwaGVy',
})
