import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { followServerLog, readServerLog, serverLogPath } from './server-log.ts'
import { createServerLogs, type ServerLogs } from './server-log-writer.ts'

let home: string
let logs: ServerLogs
const open = (redact = (_server: string, text: string) => text): ServerLogs =>
  createServerLogs({ home, log: silentLog, redact, clock: { nowMs: () => 0, tickMs: () => 0 } })
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'server-log-'))
  logs = open()
})
afterEach(async () => {
  await logs.close()
  rmSync(home, { recursive: true, force: true })
})

test('each line has a time, instances of one server are told apart, the file is private', async () => {
  logs.feed('a', 'a').push(Buffer.from('one\ntw'))
  const feed = logs.feed('a', 'a-0123456789abcdef')
  feed.push(Buffer.from('three'))
  feed.end()
  await logs.close()
  expect(await readServerLog(home, 'a', { tail: 10 })).toEqual([
    '1970-01-01T00:00:00.000Z one',
    '1970-01-01T00:00:00.000Z [01234567] three',
  ])
  expect(statSync(serverLogPath(home, 'a')).mode & 0o777).toBe(0o600)
})

test('control characters go, secrets go, also those that hold a newline', async () => {
  logs = open((_server, text) => text.replaceAll('se\ncret', '[redacted]'))
  logs.feed('a', 'a').push(Buffer.from('\u001b[31mred\u001b[0m\u0007\r\nmy se\ncret\n'))
  await logs.close()
  const lines = await readServerLog(home, 'a', { tail: 10 })
  expect(lines.map((line) => line.slice(25))).toEqual(['red', 'my [redacted]'])
})

test('a long line is cut, and characters that arrive in two pieces stay whole', async () => {
  const feed = logs.feed('a', 'a')
  for (const byte of Buffer.from('é\n')) feed.push(Buffer.of(byte))
  feed.push(Buffer.from(`${'x'.repeat(200_000)}\nafter\n`))
  await logs.close()
  const lines = (await readServerLog(home, 'a', { tail: 10 })).map((line) => line.slice(25))
  expect(lines[0]).toBe('é')
  expect(lines[1]).toHaveLength(8192 + ' … (cut)'.length)
  expect(lines[2]).toBe('after')
})

test('past 5 MiB the file is rotated, one old file is kept, and a tail reads over both', async () => {
  const feed = logs.feed('a', 'a')
  const path = serverLogPath(home, 'a')
  const line = `${'x'.repeat(8000)}\n`
  for (let i = 0; i < 13; i++) {
    feed.push(Buffer.from(line.repeat(64)))
    feed.push(Buffer.from(`mark ${i}\n`))
    await logs.close()
  }
  expect(statSync(path).size).toBeLessThan(6 << 20)
  expect(statSync(`${path}.1`).size).toBeLessThan(6 << 20)
  expect(statSync(`${path}.1`).size).toBeGreaterThan(5 << 20)
  const marks = (await readServerLog(home, 'a', { tail: 100_000 })).filter((text) => text.includes('mark'))
  expect(marks).toHaveLength(13)
  expect(readFileSync(path, 'utf8')).not.toContain('mark 0\n')
})

test('following yields the tail, then new lines, over a rotation, until it is aborted', async () => {
  const feed = logs.feed('a', 'a')
  feed.push(Buffer.from('old\nlast\n'))
  await logs.close()
  const stop = new AbortController()
  const lines = followServerLog(home, 'a', { tail: 1, signal: stop.signal })
  expect((await lines.next()).value).toContain('last')
  const next = lines.next()
  feed.push(Buffer.from('new\n'))
  expect((await next).value).toContain('new')
  stop.abort()
  expect((await lines.next()).done).toBe(true)
})

test('a server that has not run has no lines, and a name that is none is refused', async () => {
  expect(await readServerLog(home, 'never', { tail: 5 })).toEqual([])
  expect(() => serverLogPath(home, '../x')).toThrow(TypeError)
})
