import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../src/lib/log.ts'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { createKeyRecord } from '../../src/main/keys/key-record.ts'
import { KeyService } from '../../src/main/keys/key-service.ts'
import { agreeOnKey } from '../../src/secrets/agree-on-key.ts'
import { keyInFile } from '../../src/secrets/keys/key-file.ts'
import { openStore } from '../../src/store/open.ts'
import { insertResource } from '../../src/store/resources.ts'
import { listAllSealed, putSealed } from '../../src/store/sealed.ts'

/*
 * Run as a child, which is killed at any point: opens the store of a home, looks whether all that is sealed opens, and
 * replaces the master key, again and again. Says on standard output what it does.
 */
const [home = ''] = process.argv.slice(2)
const VALUES = 250

const clock = { nowMs: Date.now, tickMs: () => performance.now() }
const store = await openStore({ home }, silentLog)
const record = createKeyRecord({ store, node: `n${process.pid}`, nowMs: clock.nowMs })
const source = keyInFile(join(home, 'master.key'))
const { ring, storeKey, startsWith } = await agreeOnKey(source, record)

const whereOf = (uid: string) => ({ kind: 'Secret', uid, field: 'k' })
const rows = await listAllSealed(store.control)
for (const row of rows)
  if (ring.open(whereOf(row.uid), row).reveal() !== `value of ${row.uid}`) throw new Error(row.uid)
if (rows.length === 0) await fill()
else if (rows.length !== VALUES) throw new Error(`${rows.length} values are left`)

async function fill(): Promise<void> {
  await store.control.transaction().execute(async (tx) => {
    for (let i = 0; i < VALUES; i++) {
      const uid = `sec_${i}`
      const texts = { labels: '{}', annotations: '{}', spec: '{}', status: '{}', project: '' }
      const counts = { generation: 1, created_at_ms: 1, updated_at_ms: 1, revision: 1 }
      await insertResource(tx, Object.assign({ uid, kind: 'Secret', name: uid }, texts, counts))
      const sealed = ring.seal(whereOf(uid), new SecretValue(`value of ${uid}`))
      await putSealed(tx, Object.assign({ uid, field: 'k' }, sealed))
    }
  })
}

const service = new KeyService({
  store,
  record,
  source,
  ring,
  storeKey,
  startedWith: startsWith,
  shared: false,
  recorder: { intent: () => ({ committed: true, durable: Promise.resolve(true) }) },
  bootEpoch: 'crash',
  log: silentLog,
  clock,
  beatMs: 5,
})
await service.begin()
void service.lead(new AbortController().signal)
writeSync(1, `open ${storeKey.key.export().toString('hex')}\n`)
const atRest = async (): Promise<void> => {
  while ((await record.read()).rotation !== undefined) await sleep(2)
}
await atRest()
for (;;) {
  await service.rotate({ keepOld: false })
  await atRest()
  writeSync(1, `done ${ring.keyId}\n`)
}
