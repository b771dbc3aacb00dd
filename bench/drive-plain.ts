import { connect, type Socket } from 'node:net'
import { count, type Drive, type Job, type Tally } from './job.ts'

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

/** Length of the whole answer at the start of `data`, or undefined while that cannot be told. */
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

/** Connects, then sends one request after the other on that connection. */
export async function openPlain(job: Job, index: number): Promise<Drive> {
  const { hostname, port } = new URL(job.url)
  const socket = connect(Number(port), hostname)
  socket.setNoDelay(true)
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve).once('close', resolve).on('error', nothing)
  })
  return (tally) => drive(socket, template(job, job.headers[index % job.headers.length] ?? {}), tally, index)
}

// A connection that breaks is closed as well, which is where it counts.
const nothing = (): void => {}

function drive(
  socket: Socket,
  { bytes, idAt }: ReturnType<typeof template>,
  tally: Tally,
  index: number,
): Promise<void> {
  let sent = index * 1_000_000
  let sentAt = 0
  let parts: Buffer[] = []
  let held = 0
  let awaited: { head: number; total: number } | undefined
  let done = false

  const send = (): void => {
    sent += 1
    bytes.write(String(100_000_000 + sent), idAt, 'latin1')
    sentAt = performance.now()
    socket.write(Buffer.from(bytes))
  }
  const take = (chunk: Buffer): void => {
    parts.push(chunk)
    held += chunk.length
    if (awaited !== undefined && held < awaited.total) return
    const data = parts.length === 1 ? chunk : Buffer.concat(parts)
    parts = [data]
    awaited = answerLength(data)
    if (awaited === undefined || held < awaited.total) return
    const good = data.toString('latin1', 9, 12) === '200' && data.includes('"result"', awaited.head)
    const answer = { good, bytes: awaited.total - awaited.head }
    parts = []
    held = 0
    awaited = undefined
    if (count(tally, sentAt, answer)) return send()
    done = true
    socket.end()
  }
  return new Promise((resolve) => {
    socket.setTimeout(10_000, () => socket.destroy())
    socket.on('data', take)
    socket.once('close', () => {
      if (!done) tally.failed += 1
      resolve()
    })
    send()
  })
}
