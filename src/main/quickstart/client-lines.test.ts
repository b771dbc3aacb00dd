import { expect, test } from 'vitest'
import { clientLines, exportLine } from './client-lines.ts'

const ENDPOINT = 'http://127.0.0.1:7411/projects/quickstart/mcp'
const pasteOf = (name: string): string =>
  clientLines(ENDPOINT)
    .find(({ client }) => client === name)
    ?.paste.join('\n') ?? ''

test.for(['Claude Code', 'Codex', 'Gemini CLI', 'VS Code', 'Cursor', 'curl'])('%s is told where', (name) => {
  expect(pasteOf(name)).toContain(ENDPOINT)
})

test('what goes into a file is JSON', () => {
  expect(JSON.parse(pasteOf('VS Code'))).toMatchObject({
    servers: { castellan: { type: 'http', headers: { Authorization: 'Bearer ${input:castellan}' } } },
    inputs: [{ id: 'castellan', type: 'promptString', password: true }],
  })
  expect(JSON.parse(pasteOf('Cursor'))).toMatchObject({
    mcpServers: { castellan: { headers: { Authorization: 'Bearer ${env:QUICKSTART_TOKEN}' } } },
  })
})

test('the shell does not expand the token into an argument', () => {
  for (const name of ['Claude Code', 'Gemini CLI'])
    expect(pasteOf(name)).toContain(`'Authorization: Bearer \${QUICKSTART_TOKEN}'`)
})

test.for([
  ['/home/me/castellan/token', 'export QUICKSTART_TOKEN="$(cat /home/me/castellan/token)"'],
  ["/home/me/it's here/token", `export QUICKSTART_TOKEN="$(cat '/home/me/it'\\''s here/token')"`],
])('%s is quoted for the shell where that is needed', ([path = '', line]) => {
  expect(exportLine(path)).toBe(line)
})
