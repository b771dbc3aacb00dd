import { expect, test } from 'vitest'
import { faultPages } from './fault-pages.ts'
import { faultCodes, faultRow } from './fault.ts'

test('docs/errors.md is what the catalogue says', async () => {
  await expect(faultPages()).toMatchFileSnapshot('../../docs/errors.md')
})

test('every code has a section with its statuses', () => {
  const sections = faultPages().split('\n## ').slice(1)
  expect(sections.map((section) => section.split('\n', 1)[0])).toEqual(faultCodes())
  for (const [i, code] of faultCodes().entries()) {
    const { http, mcp, rpc, text } = faultRow(code)
    for (const part of [text, `${http}`, `MCP endpoint ${mcp}`, `JSON-RPC ${rpc}`])
      expect(sections[i]).toContain(part)
  }
})
