import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { createScanner } from './canary-scan.ts'
import { isHomeLocked } from '../../src/main/home-lock.ts'
import {
  callTool,
  castellan,
  createCleanUp,
  daemonOf,
  freshFolder,
  httpServer,
  manifests,
  ok,
  project,
  removeFolder,
  type Endpoint,
  type RunOptions,
  until,
} from './system-harness.ts'

/*
 * The whole system with its resources in PostgreSQL: the same commands, the same answers, and a password in its address
 * that is seen by nobody.
 */

const cleanUp = createCleanUp()
const scanner = createScanner()
let postgres: TestPostgres
let closePostgres: () => Promise<void>
let upstream: Upstream
let options: RunOptions & { readonly home: string }

beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
  let closing: Promise<void> | undefined
  closePostgres = () => (closing ??= postgres.close())
  cleanUp.later(closePostgres)
  upstream = await startUpstream({ style: 'modern' })
  cleanUp.later(() => upstream.close())
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  cleanUp.later(() => castellan(['down', '--force'], { home }))
  options = { home, env: { CASTELLAN_DATABASE: await postgres.createDatabase('castellan') } }
  scanner.plant('password', postgres.password)
})
afterAll(() => cleanUp.run())

const endpointWith = (token: string): Endpoint => ({
  url: `${daemonOf(options.home).url}/projects/demo/mcp`,
  token,
})

test('apply, call, kill -9, start again: everything is there', async () => {
  await ok(['up', '-d', '--port', '0', '--log-level', 'trace'], options)
  expect(await ok(['status'], options)).toMatch(/^database: +postgres 127\.0\.0\.1:\d+\/castellan$/m)
  const secret = {
    apiVersion: 'castellan/v1',
    kind: 'Secret',
    metadata: { name: 'keys' },
    spec: { data: { k: 'value-1234567' } },
  }
  const headers = [{ name: 'Authorization', valueFrom: { secretRef: { name: 'keys', key: 'k' } } }]
  const input = manifests(secret, httpServer('up', upstream.url, { headers }), project('demo', ['up']))
  await ok(['apply', '-f', '-'], { ...options, input })
  const token = (await ok(['create', 'token', 't', '-p', 'demo'], options)).trim()
  const echo = async (): Promise<void> => {
    const answer = await callTool(endpointWith(token), 'up__echo', { message: 'hi' })
    expect(answer.text).toContain('Echo: hi')
    expect(upstream.last('tools/call')?.headers['authorization']).toBe('value-1234567')
  }
  await echo()
  const kinds = ['secrets', 'servers', 'projects', 'tokens']
  const readAll = (): Promise<string[]> =>
    Promise.all(kinds.map((kind) => ok(['get', kind, '-o', 'yaml'], options)))
  const before = await readAll()
  process.kill(daemonOf(options.home).pid, 'SIGKILL')
  // A killed process holds its lock until the kernel has taken it apart.
  await until('the home is free again', () => !isHomeLocked(options.home))
  await ok(['up', '-d', '--port', '0', '--log-level', 'trace'], options)
  await echo()
  const settled = (all: readonly string[]): string[] =>
    all.map((text) => text.replace(/(?:lastUsedAt|detectedAt): .*/g, ''))
  expect(settled(await readAll())).toEqual(settled(before))
  expect(await ok(['apply', '-f', '-'], { ...options, input: before.join('\n---\n') })).not.toMatch(
    /created|configured/,
  )
  expect((await castellan(['audit', 'verify'], options)).status).toBe(0)
})

test('the password is in no argument of a process, in no output, and in no file of the home', async () => {
  for (const args of [['status'], ['logs'], ['audit', '-o', 'json'], ['describe', 'server', 'up']]) {
    const said = await castellan(args, options)
    expect(scanner.look(args.join(' '), said.stdout + said.stderr)).toEqual([])
  }
  const { pid } = daemonOf(options.home)
  expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain('postgres')
  // Where it may be, so that the search is known to work.
  expect(scanner.look('', readFileSync(`/proc/${pid}/environ`))).not.toEqual([])
  expect(scanner.lookBelow(options.home, [])).toEqual([])
  expect(readdirSync(options.home)).not.toContain('control.db')
})

test('a wrong password, a database that is not there, a server that is not there: refused in words, without the address', async () => {
  const { CASTELLAN_DATABASE: right = '' } = options.env ?? {}
  const closed = new URL(right)
  closed.port = '9'
  const wrong = new URL(right)
  wrong.password = 'another-canary-4711'
  scanner.plant('wrong password', wrong.password)
  for (const [address, reason] of [
    [closed.href, /the database cannot be reached/],
    [wrong.href, /the database refuses the login/],
    [postgres.url('nowhere'), /the database (?:refuses the login|cannot be reached)/],
  ] as const) {
    const home = freshFolder()
    cleanUp.later(() => removeFolder(home))
    for (const args of [
      ['up', '--port', '0'],
      ['up', '-d', '--port', '0'],
    ]) {
      const said = await castellan([...args, '--log-level', 'trace'], {
        home,
        env: { CASTELLAN_DATABASE: address },
      })
      expect(said.stderr).toMatch(reason)
      expect(said.status).toBe(1)
      expect(scanner.look('', said.stdout + said.stderr)).toEqual([])
      expect(scanner.lookBelow(home, [])).toEqual([])
    }
  }
})

test('the database goes away: nothing that cannot be recorded is forwarded, what only reads goes on, and the daemon ends when told to', async () => {
  const token = (await ok(['create', 'token', 'late', '-p', 'demo'], options)).trim()
  await closePostgres()
  // What is noticed by the first commit after it: that one call was on its way.
  await until('calls are refused', async () => {
    const { status } = await callTool(endpointWith(token), 'up__echo', { message: 'hi' })
    return status === 503
  })
  const before = upstream.count('tools/call')
  const refused = await callTool(endpointWith(token), 'up__echo', { message: 'hi' })
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
  expect(upstream.count('tools/call')).toBe(before)
  expect(await ok(['status'], options)).toMatch(
    /^audit: +failing since .*: the database .*calls are refused$/m,
  )
  const said = await castellan(['apply', '-f', '-'], { ...options, input: manifests(project('other', [])) })
  expect(said.status).toBe(1)
  expect(said.stderr).toMatch(/^hint: .*(?:cannot be reached|cannot be written)/m)
  expect((await castellan(['get', 'projects'], options)).status).toBe(0)
  const verified = await castellan(['audit', 'verify'], options)
  expect(verified.stderr).toMatch(/the database cannot be reached/)
  expect(verified.status).toBe(1)
  expect(scanner.look('', verified.stdout + verified.stderr)).toEqual([])
  // Stopping is an act that would have to be recorded; a signal is not.
  expect((await castellan(['down'], options)).stderr).toContain('castellan down --force')
  process.kill(daemonOf(options.home).pid, 'SIGTERM')
  await until('it has ended', () => !isHomeLocked(options.home))
})
