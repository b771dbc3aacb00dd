import { expect, test } from 'vitest'
import { claimsModern, isLegacyRevision, isModernRevision, negotiateLegacy } from './revisions.ts'

// oxfmt-ignore
test.each([
  // revision     modern  legacy  claims to be modern  answered with
  ['2024-10-07',  false,  true,   false,               '2024-10-07'],
  ['2024-11-05',  false,  true,   false,               '2024-11-05'],
  ['2025-03-26',  false,  true,   false,               '2025-03-26'],
  ['2025-06-18',  false,  true,   false,               '2025-06-18'],
  ['2025-11-25',  false,  true,   false,               '2025-11-25'],
  ['2026-07-28',  true,   false,  true,                '2025-11-25'],
  ['2026-01-01',  false,  false,  true,                '2025-11-25'],
  ['2031-01-01',  false,  false,  true,                '2025-11-25'],
  ['2023-01-01',  false,  false,  false,               '2025-11-25'],
  ['',            false,  false,  false,               '2025-11-25'],
  ['draft',       false,  false,  false,               '2025-11-25'],
  ['2026-7-28',   false,  false,  false,               '2025-11-25'],
])('%s: modern %s, legacy %s, claims to be modern %s; initialize is answered with %s', (revision, ...expected) => {
  expect([isModernRevision, isLegacyRevision, claimsModern, negotiateLegacy].map((say) => say(revision))).toEqual(expected)
})
