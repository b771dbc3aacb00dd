import { openTest, intent, outcome } from '../contract/audit-fixture.ts'

/**
 * Child of the crash test: records calls as the gateway would and prints the number of each whose intent it was told
 * is durable, until somebody kills it.
 */
const [home, first, last, url] = process.argv.slice(2)
if (home === undefined) throw new TypeError('usage: audit-crash-writer HOME FIRST LAST [DATABASE]')
const recorder = await openTest(home, url === undefined ? {} : { database: { url, environment: {} } })
const CONCURRENT = 32
let next = Number(first)

async function caller(): Promise<void> {
  while (next <= Number(last)) {
    const id = `boot-${next++}`
    const segment = recorder.intent(intent(id))
    recorder.outcome(outcome(id))
    if (await segment.durable) process.stdout.write(`${id}\n`)
  }
}

await Promise.all(Array.from({ length: CONCURRENT }, caller))
process.stdout.write('done\n')
// Stays until it is killed: an orderly end would hide what a crash leaves.
setInterval(() => recorder.stats(), 1_000)
