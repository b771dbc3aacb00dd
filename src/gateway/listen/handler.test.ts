import { expect, test } from 'vitest'
import { isMcpPath, parseTarget } from './handler.ts'

// oxfmt-ignore
test.each([
  ['/projects/demo/mcp',                      { project: 'demo', server: undefined }],
  ['/projects/demo/mcp?x=1',                  { project: 'demo', server: undefined }],
  ['/projects/demo/servers/one/mcp',          { project: 'demo', server: 'one' }],
  ['/projects/mcp/mcp',                       { project: 'mcp', server: undefined }],
  ['/projects/servers/servers/servers/mcp',   { project: 'servers', server: 'servers' }],
  ['/projects/demo',                          undefined],
  ['/projects/demo/',                         undefined],
  ['/projects//mcp',                          undefined],
  ['/projects/demo/mcp/',                     undefined],
  ['/projects/demo/mcp/x',                    undefined],
  ['/projects/demo/servers/mcp',              undefined],
  ['/projects/demo/servers//mcp',             undefined],
  ['/projects/demo/servers/one',              undefined],
  ['/projects/demo/servers/one/mcp/x',        undefined],
  ['/projects/demo/other/one/mcp',            undefined],
  ['/projects/Demo/mcp',                      undefined],
  ['/projects/cst_token/mcp',                 undefined],
  ['/projects/de%6do/mcp',                    undefined],
  ['/projects/../mcp',                        undefined],
  [`/projects/${'x'.repeat(41)}/mcp`,         undefined],
])('%s', (url, expected) => {
  expect(parseTarget(url)).toEqual(expected)
  expect(isMcpPath(url)).toBe(true)
})

test('other paths are not ours', () => {
  expect(
    ['/', '/api/v1/projects', '/project/demo/mcp', '//projects/demo/mcp', '/projects'].some(isMcpPath),
  ).toBe(false)
})
