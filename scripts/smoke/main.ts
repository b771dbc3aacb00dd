import { CHECKS } from './checks.ts'
import { readPlace } from './place.ts'
import { Skipped } from './check.ts'

/*
 * npm run smoke -- URL: whether a gateway that runs somewhere does what it must, as a client and as an operator see
 * it. What can be tried depends on what is at hand, and is decided while it runs: what is left out is said, with what
 * it would take.
 */

const place = await readPlace(process.argv.slice(2), process.env)
console.log(`smoke test of ${place.url.href}`)
console.log(
  place.role === undefined
    ? '  nothing answers there'
    : `  it is ${place.role === 'edge gateway' ? 'an edge gateway' : 'a control plane'}, ${place.isLocal ? 'on this host' : 'elsewhere'}`,
)

const counts = { passed: 0, failed: 0, skipped: 0 }
for (const { name, run } of CHECKS) {
  const began = performance.now()
  try {
    const said = await run(place)
    counts.passed += 1
    console.log(
      `ok    ${name} (${Math.round(performance.now() - began)} ms)${said === undefined ? '' : `: ${said}`}`,
    )
  } catch (thrown) {
    if (thrown instanceof Skipped) {
      counts.skipped += 1
      console.log(`skip  ${name}: ${thrown.message}`)
      continue
    }
    counts.failed += 1
    console.log(`fail  ${name}: ${sentenceOf(thrown)}`)
  }
}
await place.leave()
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0

/** `fetch failed` alone says nothing: what failed is its cause. */
function sentenceOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const { message, cause } = thrown
  return cause instanceof Error
    ? `${message} (${'code' in cause ? String(cause.code) : cause.message})`
    : message
}
