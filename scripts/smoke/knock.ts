import type { Place } from './place.ts'

const request = (id: number, method: string, params: object): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params })

export const PING = request(1, 'ping', {})
export const INITIALIZE = request(1, 'initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'smoke', version: '1' },
})

export interface Heard {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** One request to the endpoint of a project, as a client would make its first: nothing stays open behind it. */
export async function knock(
  place: Place,
  bearer: string | undefined,
  init: RequestInit = {},
  project = place.project,
): Promise<Heard> {
  const headers = new Headers({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  })
  for (const [name, value] of new Headers(init.headers)) headers.set(name, value)
  const path = `projects/${project}/mcp`
  const answer = await place.fetch(path, bearer, { method: 'POST', body: INITIALIZE, ...init, headers })
  const session = answer.headers.get('mcp-session-id')
  const text = await answer.text()
  if (session !== null && answer.ok)
    await place.fetch(path, bearer, { method: 'DELETE', headers: { 'mcp-session-id': session } })
  return { status: answer.status, headers: answer.headers, text }
}
