import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asFault } from '../../src/lib/fault.ts'
import { silentLog } from '../../src/lib/log.ts'
import { openStore } from '../../src/store/open.ts'
import { currentRevision, listResources } from '../../src/store/resources.ts'
import { insertAlone } from './store-rows.ts'

/*
 * Fills the disk that the home is on: `node store-full-disk.ts <home>`, on a small file system of its own. Prints what
 * happened as one line of JSON.
 */
const home = process.argv[2] ?? ''
const ballast = join(home, 'ballast')
await writeFile(ballast, Buffer.alloc(512 * 1024))

let store = await openStore({ home }, silentLog)
const spec = 'x'.repeat(20_000)
let acknowledged = 0
let refusal: { readonly code: string; readonly hint: string | undefined } | undefined
while (refusal === undefined && acknowledged < 10_000) {
  try {
    await insertAlone(store, { uid: `r-${acknowledged}`, spec })
    acknowledged++
  } catch (error) {
    const { code, hint } = asFault(error)
    refusal = { code, hint }
  }
}
const readable = (await listResources(store.control, { kind: 'Server' })).length
await rm(ballast)
await insertAlone(store, { uid: 'after', spec })
await store.close()
store = await openStore({ home }, silentLog)
const kept = (await listResources(store.control, { kind: 'Server' })).length
const revision = await currentRevision(store.control)
await store.close()
process.stdout.write(`${JSON.stringify({ acknowledged, refusal, readable, kept, revision })}\n`)
