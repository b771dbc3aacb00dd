import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BIN, type Daemon } from '../fixtures/daemon.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
}, 60_000)
afterAll(() => fleet.end())

const server = (name: string, command = 'true') => ({
  kind: 'Server',
  metadata: { name },
  spec: { transport: 'stdio', command },
})

interface Cli {
  readonly lines: AsyncIterator<string>
  readonly reader: Interface
  end(): Promise<number | null>
}

function cli(daemon: Daemon, ...argv: readonly string[]): Cli {
  const env = { ...process.env, CASTELLAN_HOME: daemon.home }
  const child = spawn(process.execPath, [BIN, ...argv], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const reader = createInterface({ input: child.stdout })
  const closed = once(child, 'close')
  return {
    reader,
    lines: reader[Symbol.asyncIterator](),
    async end() {
      child.kill('SIGINT')
      const [code] = (await closed) as [number | null]
      return code
    },
  }
}

const next = async ({ lines }: Cli): Promise<string> => String((await lines.next()).value)

test('castellan get -w at one daemon prints what another one writes, and ends in order', async () => {
  await fleet.a.apply([server('first')])
  const watching = cli(fleet.b, 'get', 'servers', '-w')
  expect(await next(watching)).toMatch(/^NAME +TRANSPORT/)
  expect(await next(watching)).toMatch(/^first +stdio/)
  await fleet.a.apply([server('second')])
  expect(await next(watching)).toMatch(/^second +stdio/)
  await fleet.a.call('DELETE', '/api/v1/servers/second')
  expect(await next(watching)).toMatch(/^second +deleted/)
  expect(await watching.end()).toBe(0)
}, 60_000)

async function open(daemon: Daemon, query: string, headers: Record<string, string> = {}) {
  const credential = (await readFile(join(daemon.home, 'admin-credential'), 'utf8')).trim()
  const abort = new AbortController()
  const response = await fetch(`${daemon.origin}/api/v1/${query}`, {
    headers: { authorization: `Bearer ${credential}`, ...headers },
    signal: abort.signal,
  })
  return { response, close: () => abort.abort() }
}

/** Reads until the text has everything that is wanted. */
async function readUntil(response: Response, ...wanted: readonly string[]): Promise<string> {
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString()
    if (wanted.every((one) => text.includes(one))) return text
  }
  throw new Error(`the stream ended: ${text}`)
}

test('a watch goes on at another daemon where it was cut off at the first', async () => {
  const at = async (daemon: Daemon) =>
    ((await daemon.call('GET', '/api/v1/servers?limit=1')) as { metadata: { revision: number } }).metadata
      .revision
  const first = await open(fleet.a, `servers?watch=true&since=${await at(fleet.a)}`)
  await fleet.b.apply([server('third')])
  const text = await readUntil(first.response, 'event: created', '\n\n')
  const [, id = ''] = /^id: (\d+)$/m.exec(text) ?? []
  first.close()
  await fleet.a.apply([server('fourth'), server('third', 'false')])
  const second = await open(fleet.b, 'servers?watch=true', { 'last-event-id': id })
  const more = await readUntil(second.response, '"name":"fourth"', '"name":"third"')
  expect(more).toContain('event: created')
  expect(more).toContain('event: changed')
  expect(more).not.toContain('"name":"first"')
  second.close()
}, 60_000)

test('who goes away leaves no place taken', async () => {
  const some = await Promise.all(Array.from({ length: 50 }, () => open(fleet.a, 'servers?watch=true')))
  expect(some.map(({ response }) => response.status)).toEqual(some.map(() => 200))
  const { response } = await open(fleet.a, 'servers?watch=true')
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '10'])
  for (const { close } of some) close()
  for (let status = 429; status === 429;) {
    await sleep(50)
    const again = await open(fleet.a, 'servers?watch=true')
    status = again.response.status
    again.close()
  }
}, 60_000)

const HUNDRED = Array.from({ length: 100 }, (_, i) => i)

async function post(daemon: Daemon, path: string, body: unknown, headers: Record<string, string> = {}) {
  const credential = (await readFile(join(daemon.home, 'admin-credential'), 'utf8')).trim()
  const response = await fetch(`${daemon.origin}/api/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, text: await response.text() }
}

test('two people apply the same set at two daemons: it is that of one of them, never a mix', async () => {
  for (let round = 0; round < 5; round++) {
    const by = (who: string) => ({
      kind: 'List',
      items: HUNDRED.map((i) => ({ apiVersion: 'castellan/v1', ...server(`both-${i}`, `${who}-${round}`) })),
    })
    const answers = await Promise.all([post(fleet.a, 'apply', by('ada')), post(fleet.b, 'apply', by('ben'))])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    for (const daemon of [fleet.a, fleet.b]) {
      const query = `servers?fieldSelector=spec.command=ada-${round}`
      const { items } = (await daemon.call('GET', `/api/v1/${query}`)) as { items: unknown[] }
      expect([0, HUNDRED.length]).toContain(items.length)
    }
  }
}, 60_000)

test('one request, sent to both daemons at once with its key, is done once and answered alike', async () => {
  await fleet.a.apply([{ kind: 'Project', metadata: { name: 'keys' }, spec: {} }])
  for (let round = 0; round < 10; round++) {
    const token = {
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name: `t${round}`, project: 'keys' },
      spec: {},
    }
    const key = { 'idempotency-key': `round-${round}` }
    const [one, other] = await Promise.all([
      post(fleet.a, 'apply', token, key),
      post(fleet.b, 'apply', token, key),
    ])
    expect(one.text).toContain('"secret":"cst_')
    expect(other).toEqual(one)
  }
}, 60_000)

test('get of 5,000 holds no more than get of 500', async () => {
  const all = Array.from({ length: 5000 }, (_, i) => server(`many-${i}`))
  for (let from = 0; from < all.length; from += 1000) await fleet.a.apply(all.slice(from, from + 1000))
  const [few, many] = [await peakMiB(['--field-selector', 'metadata.name=first']), await peakMiB([])]
  expect(many.lines).toBeGreaterThan(5000)
  // Pages of 500 take some; 5,000 objects as YAML would be many times that.
  expect(many.peak - few.peak).toBeLessThan(40)
}, 120_000)

async function peakMiB(more: readonly string[]): Promise<{ lines: number; peak: number }> {
  // The highest resident memory is printed by the process itself, when it ends.
  const told = 'process.on("exit", () => process._rawDebug(process.resourceUsage().maxRSS))'
  const env = { ...process.env, CASTELLAN_HOME: fleet.a.home }
  const argv = ['--import', `data:text/javascript,${told}`, BIN, 'get', 'servers', '-o', 'yaml', ...more]
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let lines = 0
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  for await (const line of createInterface({ input: child.stdout })) if (line !== '') lines += 1
  if (child.exitCode === null) await once(child, 'close')
  return { lines, peak: Number(/\d+/.exec(said)?.[0]) / 1024 }
}

test('a daemon that ends does not wait for those who watch', async () => {
  const daemon = await fleet.another()
  const { response } = await open(daemon, 'servers?watch=true')
  const reading = response.text()
  await daemon.stop()
  // Ended in order: a connection that is cut would make this fail.
  expect(await reading).toContain('event: started')
}, 60_000)
