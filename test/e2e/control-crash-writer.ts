import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setOf, wholeVersion } from './control-crash-set.ts'
import { openControl } from './control-harness.ts'

/*
 * Run as a child, which is killed at any point: looks whether what is stored is whole, sends the last apply again, with
 * its own key, and then the next one. Says on standard output what it does.
 */
const [home = '', begun = '0'] = process.argv.slice(2)
const control = await openControl(home)
const apply = async (version: number): Promise<boolean> => {
  const answer = await control.call('POST', '/api/v1/apply', setOf(version), {
    'idempotency-key': `version-${version}`,
  })
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.headers.get('idempotency-replayed') === 'true'
}
const found = wholeVersion(control)
const last = Number(begun)
if (last > 0) {
  const before = control.snapshot.current().revision
  const repeated = await apply(last)
  const done = control.snapshot.current().revision - before
  if (repeated !== (found === last) || done !== (repeated ? 0 : 1))
    throw new Error(`found ${found} of ${last}, repeated: ${repeated}, changes: ${done}`)
}
writeSync(1, `found ${found}\nbegin ${last + 1}\n`)
const began = performance.now()
await apply(last + 1)
writeSync(1, `done ${Math.round(performance.now() - began)}\n`)
await sleep(60_000)
