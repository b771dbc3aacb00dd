import { Client as Modern, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as Legacy } from '@modelcontextprotocol/sdk/client'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { commandServer, project, startGate, type Gate } from './gateway-harness.ts'

/** A tool of the official legacy server that can be called as a task only, and that may ask while it is at work. */
const TOOL = 'everything__simulate-research-query'
const EVERYTHING = new URL(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
  .pathname

let gate: Gate
beforeAll(async () => {
  gate = await startGate([
    commandServer('everything', process.execPath, [EVERYTHING, 'stdio'], { instances: 'per-session' }),
    project('p', ['everything']),
  ])
})
afterAll(() => gate?.end())

const answer = (): { action: 'accept'; content: Record<string, string> } => ({
  action: 'accept',
  content: { interpretation: 'technical' },
})

interface Called {
  readonly listed: unknown
  readonly text: string
  readonly asked: number
}

async function asLegacy(args: Record<string, unknown>): Promise<Called> {
  const { url, token } = await gate.access('p')
  const client = new Legacy({ name: 'l', version: '1' }, { capabilities: { elicitation: { form: {} } } })
  let asked = 0
  client.setRequestHandler(ElicitRequestSchema, () => (asked++, answer()))
  await client.connect(
    new LegacyTransport(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } }),
  )
  try {
    const { tools } = await client.listTools()
    const result = await client.callTool({ name: TOOL, arguments: args })
    return { listed: tools.find(({ name }) => name === TOOL), text: JSON.stringify(result.content), asked }
  } finally {
    await client.close()
  }
}

async function asModern(args: Record<string, unknown>): Promise<Called> {
  const { url, token } = await gate.access('p')
  const client = new Modern(
    { name: 'm', version: '1' },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  )
  let asked = 0
  client.setRequestHandler('elicitation/create', () => (asked++, answer()))
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  )
  try {
    const { tools } = await client.listTools()
    const result = await client.callTool({ name: TOOL, arguments: args })
    return { listed: tools.find(({ name }) => name === TOOL), text: JSON.stringify(result.content), asked }
  } finally {
    await client.close()
  }
}

for (const [era, call] of [
  ['legacy', asLegacy],
  ['modern', asModern],
] as const) {
  test.concurrent(`a ${era} client calls a tool that is a task, and sees a plain call`, async () => {
    const { listed, text, asked } = await call({ topic: 'castles', ambiguous: false })
    expect(listed).not.toHaveProperty('execution')
    expect(text).toContain('castles')
    expect(asked).toBe(0)
  }, 60_000)

  test.concurrent(`a ${era} client is asked what the task wants to know`, async () => {
    const { text, asked } = await call({ topic: 'castles', ambiguous: true })
    expect(asked).toBe(1)
    expect(text).toContain('technical')
  }, 60_000)
}
