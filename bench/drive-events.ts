import { Agent, request } from 'node:http'
import { count, type Drive, type Job } from './job.ts'
import { post } from './post.ts'

/** One client of HTTP+SSE: what it asks is answered on its stream. */
interface EventClient {
  ask(body: string, id: number): Promise<string>
}

/** Streams are kept from one job to the next: opening them is no part of what is measured. */
export function createEventDrivers(): (job: Job, index: number) => Promise<Drive> {
  const clients = new Map<string, Promise<EventClient>>()
  let id = 0
  return async (job, index) => {
    const key = `${index} ${job.url}`
    const opening = clients.get(key) ?? connect(job)
    clients.set(key, opening)
    const client = await opening
    return async (tally) => {
      for (let more = true; more;) {
        id += 1
        const sentAt = performance.now()
        const text = await client.ask(
          `{"jsonrpc":"2.0","id":${id},"method":"${job.method}","params":${job.params}}`,
          id,
        )
        more = count(tally, sentAt, { good: text.includes('"result"'), bytes: text.length })
      }
    }
  }
}

async function connect(job: Job): Promise<EventClient> {
  const agent = new Agent({ keepAlive: true })
  const waiting = new Map<number, (text: string) => void>()
  const url = await openStream(job, (data) => {
    const { id } = JSON.parse(data) as { id?: number }
    if (id === undefined) return
    waiting.get(id)?.(data)
    waiting.delete(id)
  })
  const posting = { url, headers: job.headers[0] ?? {}, agent }
  const ask = async (body: string, id: number): Promise<string> => {
    const answered = new Promise<string>((resolve) => {
      waiting.set(id, resolve)
    })
    await post(posting, body)
    return answered
  }
  const params = {
    protocolVersion: '2024-11-05',
    capabilities: {},
    clientInfo: { name: 'bench', version: '1' },
  }
  await ask(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }), 0)
  await post(posting, '{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return { ask }
}

/** Resolves with the address to post to, which is the first event. */
function openStream(job: Job, message: (data: string) => void): Promise<URL> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/event-stream', ...job.headers[0] }
    const opened = request(job.url, { agent: false, headers }, (response) => {
      let rest = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const events = (rest + chunk).split('\n\n')
        rest = events.pop() ?? ''
        for (const event of events) {
          const data = /^data: ?(.*)$/m.exec(event)?.[1]
          if (data === undefined) continue
          if (/^event: ?endpoint$/m.test(event)) resolve(new URL(data, job.url))
          else message(data)
        }
      })
      response.once('close', () => reject(new Error('the stream ended')))
    })
    opened.once('error', reject).end()
  })
}
