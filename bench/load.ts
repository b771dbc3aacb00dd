import { connect, type Socket } from 'node:net'

/** One measurement, as the parent process asks for it. */
export interface Job {
  readonly url: string
  /** One set per connection: each has a session of its own. */
  readonly headers: readonly Readonly<Record<string, string>>[]
  readonly method: string
  /** JSON of `params`. */
  readonly params: string
  readonly connections: number
  readonly warmUpMs: number
  readonly measureMs: number
}

export interface Load {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Answers that were not HTTP 200 with a `result`. */
  readonly failed: number
  /** Size of one answer's body. */
  readonly bytes: number
  /** Share of one core that the load generator itself took: near 1 means that it was the bottleneck. */
  readonly busy: number
}

interface Shared {
  /** Before this moment nothing counts, after `end` nothing is sent. */
  readonly start: number
  readonly end: number
  readonly latencies: number[]
  failed: number
  bytes: number
}

const ID_WIDTH = 9
const BREAK = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')

/** A request with room for the id, which changes in place with every use. */
function template(job: Job, headers: Readonly<Record<string, string>>): { bytes: Buffer; idAt: number } {
  const { host, pathname } = new URL(job.url)
  const head = `{"jsonrpc":"2.0","id":`
  const body = `${head}${'1'.repeat(ID_WIDTH)},"method":"${job.method}","params":${job.params}}`
  const lines = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    'accept: application/json, text/event-stream',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  const top = `${lines.join('\r\n')}\r\n\r\n`
  return { bytes: Buffer.from(top + body), idAt: Buffer.byteLength(top) + head.length }
}

/** Length of the whole answer at the start of `data`, or -1 while it is not all there. */
function answerLength(data: Buffer): { head: number; total: number } | undefined {
  const end = data.indexOf(BREAK)
  if (end < 0) return undefined
  const head = end + BREAK.length
  const lines = data.toString('latin1', 0, end).toLowerCase()
  const length = /\ncontent-length: *(\d+)/.exec(lines)?.[1]
  if (length !== undefined) return { head, total: head + Number(length) }
  const last = data.indexOf(LAST_CHUNK, head - 2)
  return last < 0 ? undefined : { head, total: last + LAST_CHUNK.length }
}

/** Sends one request after the other on one connection, until the time is over. */
function drive(job: Job, index: number, shared: Shared): Promise<void> {
  const { bytes, idAt } = template(job, job.headers[index % job.headers.length] ?? {})
  const { hostname, port } = new URL(job.url)
  let count = index * 1_000_000
  let sentAt = 0
  let parts: Buffer[] = []
  let held = 0
  let awaited: { head: number; total: number } | undefined

  const send = (socket: Socket): void => {
    count += 1
    bytes.write(String(100_000_000 + count), idAt, 'latin1')
    sentAt = performance.now()
    socket.write(Buffer.from(bytes))
  }
  const take = (socket: Socket, chunk: Buffer): void => {
    parts.push(chunk)
    held += chunk.length
    if (awaited !== undefined && held < awaited.total) return
    const data = parts.length === 1 ? chunk : Buffer.concat(parts)
    parts = [data]
    awaited = answerLength(data)
    if (awaited === undefined || held < awaited.total) return
    const now = performance.now()
    const good = data.toString('latin1', 9, 12) === '200' && data.includes('"result"', awaited.head)
    if (sentAt >= shared.start && now <= shared.end) {
      shared.latencies.push(now - sentAt)
      shared.bytes = awaited.total - awaited.head
      if (!good) shared.failed += 1
    }
    parts = []
    held = 0
    awaited = undefined
    if (now < shared.end) send(socket)
    else socket.end()
  }
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => send(socket))
    socket.setNoDelay(true)
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer within 10 s')))
    socket.on('data', (chunk) => take(socket, chunk))
    socket.on('error', () => (shared.failed += 1))
    socket.on('close', () => resolve())
  })
}

async function run(job: Job): Promise<Load> {
  const now = performance.now()
  const start = now + job.warmUpMs
  const shared: Shared = { start, end: start + job.measureMs, latencies: [], failed: 0, bytes: 0 }
  const cpu = process.cpuUsage()
  await Promise.all(Array.from({ length: job.connections }, (_, i) => drive(job, i, shared)))
  const used = process.cpuUsage(cpu)
  const sorted = Float64Array.from(shared.latencies).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  const seconds = job.measureMs / 1000
  return {
    requests: sorted.length,
    seconds,
    perSecond: sorted.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    failed: shared.failed,
    bytes: shared.bytes,
    busy: (used.user + used.system) / 1000 / (performance.now() - now),
  }
}

process.on('message', (job: Job) => {
  run(job).then(
    (load) => process.send?.(load),
    () => process.exit(1),
  )
})
