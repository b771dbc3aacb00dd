import type { Era } from '../src/protocol/revisions.ts'

/** An answer that was made in advance: the JSON text of a result, or an error. */
export type NullAnswer = { readonly result: string } | { readonly code: number }

const CAPABILITIES = '"capabilities":{"tools":{"listChanged":true}}'
const INFO = '{"name":"null","version":"1.0.0"}'

export interface NullRequest {
  readonly id?: number | string
  readonly method?: string
  readonly params?: { readonly protocolVersion?: string; readonly inputResponses?: object }
}

/**
 * What the cheapest MCP server of one era says, whatever carries it.
 * @returns the answer to a request; `count` is the number of tools that it lists
 */
export function nullAnswers(era: Era): (request: NullRequest, count: number) => NullAnswer {
  const modern = era === 'modern'
  const fields = modern ? '"resultType":"complete",' : ''
  const cache = modern ? '"ttlMs":300000,"cacheScope":"public",' : ''
  const called = { result: `{${fields}"content":[{"type":"text","text":"ok"}]}` }
  // Some clients want to hear their own version.
  const opened = (version = '2025-11-25') => ({
    result: `{"protocolVersion":${JSON.stringify(version)},${CAPABILITIES},"serverInfo":${INFO}}`,
  })
  const discovered = {
    result: `{${fields}${cache}"supportedVersions":["2026-07-28"],${CAPABILITIES},"_meta":{"io.modelcontextprotocol/serverInfo":${INFO}}}`,
  }
  const lists = new Map<number, NullAnswer>()
  return ({ method, params }, count) => {
    if (method === 'tools/call') return called
    if (method === 'tools/list') {
      const list = lists.get(count) ?? { result: `{${fields}${cache}"tools":[${tools(count)}]}` }
      lists.set(count, list)
      return list
    }
    if (method === 'initialize') return modern ? { code: -32_022 } : opened(params?.protocolVersion)
    if (method === 'server/discover' && modern) return discovered
    return method === 'ping' ? { result: '{}' } : { code: -32_601 }
  }
}

function tools(count: number): string {
  const property = (name: string) =>
    `"${name}":{"type":"string","description":"The ${name} that is looked for"}`
  const schema = `{"type":"object","properties":{${['query', 'cursor', 'owner', 'label'].map(property).join(',')}}}`
  const names = count === 1 ? ['echo'] : Array.from({ length: count }, (_, i) => `tool_${i}`)
  return names
    .map((name) => `{"name":"${name}","description":"Does nothing","inputSchema":${schema}}`)
    .join(',')
}
