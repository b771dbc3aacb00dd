import type { ServerResponse } from 'node:http'
import type { Decision, Turn } from './script.ts'

type Json = Readonly<Record<string, unknown>>

/** How one model provider's API is read and answered. */
export interface Provider {
  /** Whether a request path belongs to it. */
  owns(path: string): boolean
  read(body: Json): { turns: Turn[]; tools: string[] }
  /** @param count different for each answer, for ids */
  write(res: ServerResponse, decision: Decision, about: { body: Json; path: string; count: number }): void
}

const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : [])

/** Content as text, whichever of the shapes it has: a string, parts, or an object. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (Array.isArray(content))
    return list(content)
      .map((part) => (typeof part['text'] === 'string' ? part['text'] : textOf(part['content'] ?? '')))
      .join('\n')
  return content === undefined ? '' : JSON.stringify(content)
}

function startEvents(res: ServerResponse): (data: Json) => void {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  return (data) => {
    const { type } = data
    const name = typeof type === 'string' ? `event: ${type}\n` : ''
    res.write(`${name}data: ${JSON.stringify(data)}\n\n`)
  }
}

export const sendJson = (res: ServerResponse, body: object, status = 200): void =>
  void res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

const contentParts = (content: unknown): Json[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : list(content)

/** Anthropic Messages: Claude Code. */
const anthropic: Provider = {
  owns: (path) => path.includes('/messages'),
  read(body) {
    const turns: Turn[] = []
    for (const { role, content } of list(body['messages']))
      for (const part of contentParts(content)) {
        if (role === 'user' && part['type'] === 'text')
          turns.push({ kind: 'prompt', text: textOf(part['text']) })
        if (part['type'] === 'tool_result')
          turns.push({ kind: 'result', text: textOf(part['content']), failed: part['is_error'] === true })
      }
    return { turns, tools: list(body['tools']).map((tool) => String(tool['name'])) }
  },
  write(res, decision, { body, count }) {
    const called = decision.kind === 'call'
    const stop = called ? 'tool_use' : 'end_turn'
    const block = called
      ? { type: 'tool_use', id: `toolu_${count}`, name: decision.tool, input: decision.args }
      : { type: 'text', text: decision.text }
    const message = {
      id: `msg_${count}`,
      type: 'message',
      role: 'assistant',
      model: body['model'],
      stop_sequence: null,
      usage: { input_tokens: 1, output_tokens: 1 },
    }
    if (body['stream'] !== true) return sendJson(res, { ...message, content: [block], stop_reason: stop })
    const send = startEvents(res)
    const delta = called
      ? { type: 'input_json_delta', partial_json: JSON.stringify(decision.args) }
      : { type: 'text_delta', text: decision.text }
    const empty = called ? { ...block, input: {} } : { type: 'text', text: '' }
    send({ type: 'message_start', message: { ...message, content: [], stop_reason: null } })
    send({ type: 'content_block_start', index: 0, content_block: empty })
    send({ type: 'content_block_delta', index: 0, delta })
    send({ type: 'content_block_stop', index: 0 })
    send({
      type: 'message_delta',
      delta: { stop_reason: stop, stop_sequence: null },
      usage: { output_tokens: 1 },
    })
    send({ type: 'message_stop' })
    res.end()
  },
}

/** OpenAI Responses: Codex. It offers the tools of an MCP server as a namespace; here such a tool is `space|name`. */
const openai: Provider = {
  owns: (path) => path.includes('/responses'),
  read(body) {
    const turns: Turn[] = []
    for (const item of list(body['input'])) {
      if (item['role'] === 'user') turns.push({ kind: 'prompt', text: textOf(item['content']) })
      if (item['type'] === 'function_call_output')
        turns.push({ kind: 'result', text: textOf(item['output']), failed: false })
    }
    const tools = list(body['tools']).flatMap((tool) => {
      const inner = list(tool['tools']).map(({ name }) => `${String(tool['name'])}|${String(name)}`)
      return inner.length > 0 ? inner : [String(tool['name'] ?? tool['type'])]
    })
    return { turns, tools }
  },
  write(res, decision, { body, count }) {
    const id = `resp_${count}`
    const item = { ...responseItem(decision, count), status: 'completed' }
    const usage = {
      input_tokens: 1,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 1,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 2,
    }
    const response = { id, object: 'response', status: 'completed', output: [item], usage }
    if (body['stream'] !== true) return sendJson(res, response)
    const send = startEvents(res)
    send({ type: 'response.created', response: { id } })
    send({ type: 'response.output_item.done', output_index: 0, item })
    send({ type: 'response.completed', response })
    res.end()
  },
}

function responseItem(decision: Decision, count: number): Json {
  if (decision.kind === 'say') {
    const content = [{ type: 'output_text', text: decision.text, annotations: [] }]
    return { type: 'message', id: `msg_${count}`, role: 'assistant', content }
  }
  const bar = decision.tool.indexOf('|')
  return {
    type: 'function_call',
    id: `fc_${count}`,
    call_id: `call_${count}`,
    name: decision.tool.slice(bar + 1),
    ...(bar < 0 ? {} : { namespace: decision.tool.slice(0, bar) }),
    arguments: JSON.stringify(decision.args),
  }
}

/** Google's `generateContent`: Gemini CLI. */
const google: Provider = {
  owns: (path) => /:(?:streamG|g)enerateContent/.test(path),
  read(body) {
    const turns: Turn[] = []
    for (const { role, parts } of list(body['contents']))
      for (const part of list(parts)) {
        if (role === 'user' && typeof part['text'] === 'string')
          turns.push({ kind: 'prompt', text: part['text'] })
        const response = (part['functionResponse'] as Json | undefined)?.['response'] as Json | undefined
        if (response !== undefined) {
          const { error, output } = response
          turns.push({
            kind: 'result',
            text: textOf(output ?? error ?? response),
            failed: error !== undefined,
          })
        }
      }
    const tools = list(body['tools']).flatMap((tool) =>
      list(tool['functionDeclarations']).map(({ name }) => String(name)),
    )
    return { turns, tools }
  },
  write(res, decision, { path, count }) {
    const part =
      decision.kind === 'call'
        ? { functionCall: { name: decision.tool, args: decision.args } }
        : { text: decision.text }
    const answer = {
      candidates: [{ index: 0, content: { role: 'model', parts: [part] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
      modelVersion: 'stub',
      responseId: `resp_${count}`,
    }
    if (!path.includes(':stream')) return sendJson(res, answer)
    startEvents(res)(answer)
    res.end()
  },
}

export const PROVIDERS: readonly Provider[] = [anthropic, openai, google]
