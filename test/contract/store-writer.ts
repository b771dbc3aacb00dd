import { silentLog } from '../../src/lib/log.ts'
import { openStore, type StoreOptions } from '../../src/store/open.ts'
import { bumpRevision, currentRevision, insertResource } from '../../src/store/resources.ts'
import { inTransaction } from '../../src/store/transaction.ts'
import { resource } from './store-rows.ts'

/*
 * A process that writes until it is killed: `node store-writer.ts <StoreOptions as JSON>`. Each transaction inserts
 * three resources named after its revision; the revision is printed once it is acknowledged.
 */
const store = await openStore(JSON.parse(process.argv[2] ?? '{}') as StoreOptions, silentLog)
process.stdout.write(`opened at ${await currentRevision(store.control)}\n`)
for (;;) {
  const written = await inTransaction(store, async (tx) => {
    const revision = await bumpRevision(tx)
    for (const part of ['a', 'b', 'c']) {
      await insertResource(tx, resource({ uid: `${revision}-${part}`, revision, spec: 'x'.repeat(2000) }))
    }
    return revision
  })
  process.stdout.write(`${written}\n`)
}
