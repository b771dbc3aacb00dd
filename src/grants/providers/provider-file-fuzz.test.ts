import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { damaged, FUZZ_TIMEOUT_MS, fuzzTurns, jsonText } from '../../../test/fixtures/fuzz.ts'
import { readOrigin } from '../origins.ts'
import { headerName, hostMatches } from './checks.ts'
import type { Provider } from './define-provider.ts'
import { readProviderFile } from './provider-file.ts'

const MARK = 'canary7f3a'

/** A file with a value in it that must not come back. */
const file = fc.constantFrom(
  `name: acme\ndescription: ${MARK} of a test\nhosts: [api.acme.example, "*.acme.example"]\ninject:\n  header: X-Acme-Key\n  prefix: "key "\nvalidate:\n  url: https://api.acme.example/${MARK}\n  invalid: [401, 403]\nprompt: ${MARK} 1\n`,
  `{"name":"acme","description":"d","hosts":["acme.example"],"inject":{"segment":"bot"},"validate":{"url":"https://acme.example/{segment}/me"},"source_env":["ACME_KEY"],"prompt":"${MARK} 2"}`,
)
const NAMES = ['name', 'description', 'hosts', 'inject', 'header', 'segment', 'validate', 'url', 'aliases']

/** Whatever is taken is bound to https, stands in a header of its own, and is tested at its own hosts. */
function holds({ origins, injections, validations }: Provider): void {
  expect(origins.map(readOrigin)).toEqual(origins)
  for (const { place, hosts } of injections) {
    expect(place.in === 'segment' || headerName(place.header) === undefined).toBe(true)
    for (const { url } of validations) expect(hostMatches(hosts, new URL(url).hostname)).toBe(true)
  }
}

test(
  'provider files: taken as they should be, or refused with places and without a value',
  { timeout: FUZZ_TIMEOUT_MS },
  async () => {
    await fuzzTurns(
      fc.oneof(
        damaged(file),
        jsonText(NAMES, 3).map((text) => Buffer.from(text)),
      ),
      async (bytes) => {
        const read = await readProviderFile(bytes.toString(), 'acme.yaml')
        if (read.ok) return holds(read.value)
        const { problems } = read.error
        expect(problems.length).toBeGreaterThan(0)
        expect(problems.length).toBeLessThanOrEqual(20)
        expect(problems.filter((problem) => !/^acme\.yaml:\d+:\d+: \S/.test(problem))).toEqual([])
        // The mark begins a value; what damage made of it may be a field, and fields of plain letters are named.
        expect(problems.join('\n')).not.toContain(MARK)
      },
    )
  },
)
