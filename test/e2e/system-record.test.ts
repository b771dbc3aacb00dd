import { closeSync, cpSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { manyTools, type UpstreamTool } from '../fixtures/upstream/tools.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  ask,
  callTool,
  castellan,
  createCleanUp,
  daemonOf,
  freshFolder,
  httpServer,
  manifests,
  modern,
  mountSmallDisk,
  ok,
  project,
  removeFolder,
  send,
  unmount,
  until,
  type Endpoint,
} from './system-harness.ts'

/*
 * The record, seen from outside: what the gateway has answered is on it, whatever happens to the daemon or its disk.
 */

const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

interface Stand {
  readonly home: string
  readonly upstream: Upstream
  readonly token: string
  readonly endpoint: () => Endpoint
}

async function start(
  home: string,
  about: { tools?: readonly UpstreamTool[]; durability?: string } = {},
): Promise<Stand> {
  const upstream = await startUpstream({
    style: 'modern',
    ...(about.tools === undefined ? {} : { tools: about.tools }),
  })
  cleanUp.later(() => upstream.close())
  cleanUp.later(() => castellan(['down', '--force'], { home }))
  await ok(['up', '-d', '--port', '0'], { home })
  const { durability = 'before-reply' } = about
  const input = manifests(httpServer('up', upstream.url), project('demo', ['up'], { audit: { durability } }))
  await ok(['apply', '-f', '-'], { home, input })
  const token = (await ok(['create', 'token', 't', '-p', 'demo'], { home })).trim()
  return {
    home,
    upstream,
    token,
    endpoint: () => ({ url: `${daemonOf(home).url}/projects/demo/mcp`, token }),
  }
}

function freshHome(): string {
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  return home
}

/** One client on one connection: calls its tool again and again until the connection breaks. @returns calls answered */
async function callUntilGone(endpoint: Endpoint, tool: string, answered: () => void): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let count = 0
  try {
    for (;;) {
      const request = modern('tools/call', { name: tool, arguments: {} })
      const headers = { ...request.headers, authorization: `Bearer ${endpoint.token}` }
      const answer = await send(endpoint.url, { ...request, headers, agent })
      if (answer.status !== 200 || !answer.text.includes('"result"')) throw new Error(answer.text)
      count++
      answered()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return count
  } finally {
    agent.destroy()
  }
}

const CLIENTS = 16

/** Calls of one tool that are on the record. */
async function recorded(home: string, tool: string): Promise<number> {
  const text = await ok(['audit', '--tool', tool, '--limit', '10000', '-o', 'json'], { home })
  const { items } = JSON.parse(text) as { items: { event: string }[] }
  return items.filter(({ event }) => event === 'tools/call').length
}

test('kill -9 under load, after 10,000 calls: the record verifies, and holds every call that was answered', async () => {
  const home = freshHome()
  const { endpoint } = await start(home, { tools: manyTools(CLIENTS) })
  const { pid } = daemonOf(home)
  let total = 0
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    callUntilGone(endpoint(), `up__tool_${String(i).padStart(3, '0')}`, () => {
      if (++total === 10_000) process.kill(pid, 'SIGKILL')
    }),
  )
  const answered = await Promise.all(clients)
  expect(answered.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(10_000)

  const verified = await castellan(['audit', 'verify'], { home })
  expect(verified.stderr).toBe('')
  expect(verified.stdout).toMatch(/ok {8}nothing was changed/)
  expect(verified.status).toBe(0)

  const copy = freshHome()
  cpSync(home, copy, { recursive: true })
  await ok(['up', '-d', '--port', '0'], { home })
  for (const [i, count] of answered.entries()) {
    const there = await recorded(home, `up__tool_${String(i).padStart(3, '0')}`)
    // One client has one call under way at a time, so at most one more than it has seen answered.
    expect([count, count + 1]).toContain(there)
  }
  expect((await callTool(endpoint(), 'up__tool_000')).status).toBe(200)
  await ok(['down'], { home })
  expect((await castellan(['audit', 'verify'], { home })).status).toBe(0)
  await tamper(copy)
}, 240_000)

/** Each is a change of what is older than the last anchor; `verify` must say so, whatever else it says. */
async function tamper(original: string): Promise<void> {
  const newest = (home: string): number => {
    const lines = readFileSync(join(home, 'audit-anchors.jsonl'), 'utf8').trim().split('\n')
    return (JSON.parse(lines.at(-1) ?? '{}') as { seq: number }).seq
  }
  const anchored = newest(original)
  expect(anchored).toBeGreaterThan(10)
  const middle = Math.floor(anchored / 2)
  // oxfmt-ignore
  const damages = {
    edited: `UPDATE segments SET body = replace(body, 'tool_001', 'tool_002') WHERE seq = (SELECT max(seq) FROM segments WHERE seq <= ${middle} AND body LIKE '%tool_001%')`,
    removed: `DELETE FROM segments WHERE seq = ${middle}`,
    'cut at the end': `DELETE FROM segments WHERE seq >= ${anchored}`,
    'cut at the beginning': 'DELETE FROM segments WHERE seq = 1',
    reordered: `UPDATE segments SET seq = -1 WHERE seq = ${middle}; UPDATE segments SET seq = ${middle} WHERE seq = ${middle + 1}; UPDATE segments SET seq = ${middle + 1} WHERE seq = -1`,
  }
  for (const [what, sql] of Object.entries(damages)) {
    const home = freshHome()
    cpSync(original, home, { recursive: true })
    const file = new DatabaseSync(join(home, 'audit.db'))
    file.exec(sql)
    file.close()
    const said = await castellan(['audit', 'verify'], { home })
    expect([what, said.status]).toEqual([what, 1])
    expect(said.stdout).toContain('FAILED')
  }
}

/** Fills a file system to its last block, also while others write to it. @returns the file to remove again */
function fill(disk: string): string {
  const filler = join(disk, 'filler')
  const file = openSync(filler, 'w')
  try {
    for (const block of [Buffer.alloc(1 << 20), Buffer.alloc(4096), Buffer.alloc(1)])
      writeUntilFull(file, block)
  } finally {
    closeSync(file)
  }
  return filler
}

function writeUntilFull(file: number, block: Buffer): void {
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

const probe = mountSmallDisk(1)
if (probe !== undefined) unmount(probe)
/** Mounting is for root, and not for every container. */
const mayMount = probe !== undefined

test.runIf(mayMount).each(['before-reply', 'before-forward', 'batched'])(
  'a full disk (%s): refused before it is forwarded, answered once where it was forwarded already, and it recovers',
  async (durability) => {
    const disk = mountSmallDisk(24) ?? ''
    cleanUp.later(() => unmount(disk))
    const { home, upstream, endpoint } = await start(disk, { durability })
    expect((await callTool(endpoint(), 'up__echo', { message: 'x' })).status).toBe(200)
    const before = upstream.count('tools/call')
    const slow = callTool(endpoint(), 'up__slow', { ms: 4000 })
    // Where this test fails, its daemon ends before the answer.
    slow.catch(() => undefined)
    await until('the slow call is forwarded', () => upstream.count('tools/call') === before + 1)
    const filler = fill(disk)

    let answered = 0
    const refusal = await until('a call is refused', async () => {
      const answer = await callTool(endpoint(), 'up__echo', { message: 'x' })
      if (answer.status === 200) answered++
      return answer.status !== 200 && answer
    })
    expect(refusal.status).toBe(503)
    expect(refusal.headers['retry-after']).toBe('1')
    expect(JSON.parse(refusal.text)).toMatchObject({ error: { data: { code: 'unavailable' } } })
    for (let i = 0; i < 10; i++)
      expect((await callTool(endpoint(), 'up__echo', { message: 'x' })).status).toBe(503)
    expect(upstream.count('tools/call')).toBe(before + 1 + answered)
    expect(await ok(['status'], { home })).toMatch(/^audit: +failing since .*calls are refused$/m)
    const change = await castellan(['apply', '-f', '-'], { home, input: manifests(project('other', [])) })
    expect(change.status).toBe(1)

    const late = await slow
    expect(late.status).toBe(200)
    expect(late.text.match(/"result"/g)).toHaveLength(1)
    expect(upstream.count('tools/call')).toBe(before + 1 + answered)

    rmSync(filler)
    await until('calls pass again', async () => (await ask(endpoint(), 'tools/list')).status === 200)
    expect((await callTool(endpoint(), 'up__echo', { message: 'x' })).status).toBe(200)
    expect(await ok(['status'], { home })).toMatch(/^audit: +ok, /m)
    expect(await ok(['apply', '-f', '-'], { home, input: manifests(project('other', [])) })).toContain(
      'created',
    )
    expect(await recorded(home, 'up__slow')).toBe(1)
    await ok(['down'], { home })
    expect((await castellan(['audit', 'verify'], { home })).status).toBe(0)
  },
  120_000,
)
