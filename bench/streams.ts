import { Agent, request, type ClientRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Era } from '../src/protocol/revisions.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../test/fixtures/daemon.ts'
import { startUpstream, type Upstream } from '../test/fixtures/upstream.ts'
import { modernHeaders, modernParams } from './client.ts'
import { gather, makeTokens, repeat } from './crowd.ts'
import { median } from './measure.ts'
import { addProject } from './stand.ts'

/** Streams of clients over one server. */
export interface StreamFigures {
  /** Era of the server. */
  readonly server: Era
  /** What the server has to hold open for all of them. */
  readonly upstreamStreams: number
  /** Median time from when the server says that a resource has changed until the last stream has it, ms. */
  readonly updatedMs: number
  /** The same for a list that has changed. */
  readonly listMs: number
}

const CHANGES = 11
const PATIENCE_MS = 30_000
const URI = 'fixture://shared'
const UPDATED = 'notifications/resources/updated'
const CHANGED = 'notifications/tools/list_changed'

/** A client that listens; `heard` counts what it has been told of, by method. */
interface Listener {
  readonly heard: Map<string, number>
  close(): void
}

/** Half of the clients are modern (`subscriptions/listen`), half legacy (GET and `resources/subscribe`). */
export async function measureStreams(count: number): Promise<StreamFigures[]> {
  const figures: StreamFigures[] = []
  for (const server of ['legacy', 'modern'] as const) {
    const upstream = await startUpstream(server === 'modern' ? { style: 'modern' } : {})
    const daemon = await startDaemon(await makeHome())
    try {
      figures.push({ server, ...(await measureOne(daemon, upstream, count)) })
    } finally {
      await daemon.stop()
      await removeHome(daemon.home)
      await upstream.close()
    }
  }
  return figures
}

async function measureOne(daemon: Daemon, upstream: Upstream, count: number) {
  await addProject(daemon, 'crowd', { shared: upstream.url })
  const tokens = await makeTokens(daemon, 'crowd', 2)
  const crowd = gather(daemon, 'crowd', tokens)
  const listeners: Listener[] = []
  const url = new URL('/projects/crowd/mcp', daemon.origin)
  await repeat(count / 2, async (index) => {
    const authorization = `Bearer ${tokens[index % tokens.length]}`
    listeners.push(await listenModern(url, authorization))
    const member = await crowd.open(index)
    listeners.push(await listen(url, 'GET', member.headers))
    await member.ask('resources/subscribe', { uri: URI })
  })
  const updatedMs = await timeOf(listeners, UPDATED, () => upstream.notify(UPDATED, { uri: URI }))
  const listMs = await timeOf(listeners, CHANGED, () => upstream.notify(CHANGED))
  const upstreamStreams = upstream.listeners()
  for (const listener of listeners) listener.close()
  await crowd.close()
  return { upstreamStreams, updatedMs, listMs }
}

/** Median time until all have heard of one change. */
async function timeOf(listeners: readonly Listener[], method: string, change: () => void): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < CHANGES; i += 1) {
    const before = listeners.map(({ heard }) => heard.get(method) ?? 0)
    const all = () => listeners.every(({ heard }, at) => (heard.get(method) ?? 0) > (before[at] ?? 0))
    const began = performance.now()
    change()
    while (!all()) {
      if (performance.now() - began > PATIENCE_MS) throw new Error(`not all streams have heard of ${method}`)
      await sleep(1)
    }
    times.push(performance.now() - began)
    // What comes within a moment would be told as one.
    await sleep(300)
  }
  return median(times)
}

async function listenModern(url: URL, authorization: string): Promise<Listener> {
  const params = modernParams({ notifications: { toolsListChanged: true, resourceSubscriptions: [URI] } })
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params })
  const headers = {
    ...modernHeaders('subscriptions/listen'),
    authorization,
    'content-type': 'application/json',
  }
  const listener = await listen(url, 'POST', headers, body)
  while (!listener.heard.has('notifications/subscriptions/acknowledged')) await sleep(1)
  return listener
}

const agent = new Agent({ keepAlive: false, maxSockets: Infinity })

/** Resolves once the stream is open. */
function listen(
  url: URL,
  method: 'GET' | 'POST',
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<Listener> {
  const heard = new Map<string, number>()
  return new Promise((resolve, reject) => {
    const opened: ClientRequest = request(
      url,
      { method, agent, headers: { ...headers, accept: 'application/json, text/event-stream' } },
      (response) => {
        if (response.statusCode !== 200) {
          reject(new Error(`a stream was refused: ${response.statusCode}`))
          return
        }
        let rest = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) {
            const said = /^data:.*"method":"([^"]+)"/.exec(line)?.[1]
            if (said !== undefined) heard.set(said, (heard.get(said) ?? 0) + 1)
          }
        })
        resolve({ heard, close: () => opened.destroy() })
      },
    )
    opened.on('error', reject).end(body)
  })
}
