import { hash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemon, makeHome, removeHome, type Daemon, type DaemonOptions } from '../fixtures/daemon.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { accessAtBoth, startFleet } from './fleet-harness.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  openLegacy,
  project,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'

/* Secrets whose values are where the daemon is: what calls carry, when a value changes, and what nobody gets to see. */

const FROM_ENV = 'planted-in-the-environment'
const NOT_ASKED = 'planted-and-not-asked-for'

const reference = (name: string, backend: string, refs: Json): Json => ({
  kind: 'Secret',
  metadata: { name },
  spec: { backend, refs },
})
const fromSecret = (name: string, key: string): Json => ({ valueFrom: { secretRef: { name, key } } })

let base: string
let mounted: string
let home: string
let upstream: Upstream
let daemon: Daemon
let client: LegacyCaller
let options: DaemonOptions

const put = async (name: string, value: string): Promise<void> => {
  await writeFile(join(base, 'part'), value)
  await rename(join(base, 'part'), join(mounted, name))
}
/** What the server is sent with a call; undefined: the call did not reach it. */
const bearer = async (): Promise<string | undefined> => {
  const before = upstream.count('tools/call')
  await client.ask('tools/call', { name: 'web__echo', arguments: { message: 'hi' } })
  return upstream.count('tools/call') > before
    ? upstream.last('tools/call')?.headers.authorization
    : undefined
}
const secretOf = (name: string): Promise<Json> =>
  daemon.call('GET', `/api/v1/secrets/${name}`) as Promise<Json>
const stateOf = async (name: string, key: string): Promise<unknown> =>
  at(await secretOf(name), `status.keys.${key}.state`)
const about = async (names: readonly string[]): Promise<unknown> =>
  toolJson(await client.ask('tools/call', { name: 'keyed__about', arguments: { names } }))

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'castellan-secrets-'))
  mounted = join(base, 'mounted')
  await mkdir(mounted)
  await put('web-token', 'one\n')
  upstream = await startUpstream()
  home = await makeHome()
  options = {
    env: {
      CASTELLAN_SECRET_DIRS: mounted,
      CASTELLAN_SECRET_KEYED: FROM_ENV,
      CASTELLAN_SECRET_OTHER: NOT_ASKED,
    },
  }
  daemon = await startDaemon(home, 0, options)
  await daemon.apply([
    reference('web', 'file', { token: join(mounted, 'web-token') }),
    reference('keyed', 'env', { value: 'CASTELLAN_SECRET_KEYED' }),
    httpServer('web', upstream.url, {
      headers: [
        { name: 'Authorization', valueFrom: { secretRef: { name: 'web', key: 'token' }, prefix: 'Bearer ' } },
      ],
    }),
    stdioServer('keyed', [], { env: [{ name: 'API_KEY', ...fromSecret('keyed', 'value') }] }),
    project('demo', ['web', 'keyed']),
  ])
  client = await openLegacy({
    url: endpoint(daemon, 'demo'),
    token: await createToken(daemon, 'demo', 'test'),
  })
})

afterAll(async () => {
  await daemon?.stop()
  await upstream?.close()
  await removeHome(home)
  await rm(base, { recursive: true, force: true })
})

test('the first call carries what the file holds and what the variable holds', async () => {
  expect(await bearer()).toBe('Bearer one')
  const told = await about(['API_KEY', 'CASTELLAN_SECRET_KEYED', 'CASTELLAN_SECRET_OTHER'])
  expect(at(told, 'digests.0')).toBe(hash('sha256', FROM_ENV))
  expect(at(told, 'env')).toMatchObject({ CASTELLAN_SECRET_KEYED: null, CASTELLAN_SECRET_OTHER: null })
})

test('no child of the daemon has the variables', async () => {
  const pids = (await readFile(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8')).trim().split(' ')
  expect(pids.length).toBeGreaterThan(0)
  for (const pid of pids.filter((one) => one !== '')) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
    expect(environment).not.toContain(NOT_ASKED)
    expect(environment).not.toContain('CASTELLAN_SECRET_')
  }
})

test('a file that is rotated is what the next calls carry, over a connection of its own', async () => {
  const before = upstream.seen.length
  await put('web-token', 'two\n')
  await until('the new value', async () => (await bearer()) === 'Bearer two', 5000)
  expect(upstream.seen.slice(before).some(({ method }) => method === 'initialize')).toBe(true)
  await put('web-token', 'one\n')
  await until('the old value again', async () => (await bearer()) === 'Bearer one', 5000)
})

test('a file that is gone is not used any longer, and the error says what to type', async () => {
  await rm(join(mounted, 'web-token'))
  await until('it is absent', async () => (await stateOf('web', 'token')) === 'absent', 5000)
  const { text } = await client.ask('tools/call', { name: 'web__echo', arguments: { message: 'hi' } })
  expect(text).toContain('castellan describe secret web')
  expect(text).not.toContain(mounted)
  await put('web-token', 'one')
  await until('it is there again', async () => (await bearer()) === 'Bearer one', 5000)
})

test('status says of each key how it is, and never what it is', async () => {
  await daemon.apply([reference('several', 'file', { token: 'web-token', late: 'late/token', out: 'out' })])
  await symlink(home, join(mounted, 'out'))
  const shown = await secretOf('several')
  expect(at(shown, 'status')).toEqual({
    sizes: { token: 3 },
    keys: {
      token: { state: 'ready', lookedAt: expect.any(String) },
      late: { state: 'absent', lookedAt: expect.any(String), message: 'there is no such file' },
      out: { state: 'absent', lookedAt: expect.any(String), message: 'there is no such file' },
    },
    daemon: expect.stringMatching(new RegExp(`/${daemon.pid}$`)),
  })
  await until('the link is refused', async () => (await stateOf('several', 'out')) === 'unusable', 5000)
  await mkdir(join(mounted, 'late'))
  await writeFile(join(mounted, 'late/token'), 'late')
  const table = (await fetchText('/api/v1/secrets?output=table')).split('\n')
  expect(table.find((line) => line.startsWith('several'))).toMatch(/file +late absent, out unusable/)
})

async function fetchText(path: string, init: RequestInit = {}): Promise<string> {
  const credential = (await readFile(join(home, 'admin-credential'), 'utf8')).trim()
  const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/yaml' }
  return (await fetch(new URL(path, daemon.origin), { ...init, headers })).text()
}

test('what is read can be applied again and changes nothing; a Secret moves from one place to another', async () => {
  const yaml = await fetchText('/api/v1/secrets/web?output=yaml')
  expect(yaml).toContain(join(mounted, 'web-token'))
  const again = await fetchText('/api/v1/apply', { method: 'POST', body: yaml })
  expect(JSON.parse(again)).toMatchObject({ results: [{ action: 'unchanged' }] })
  await daemon.apply([{ kind: 'Secret', metadata: { name: 'web' }, spec: { data: { token: 'sealed' } } }])
  expect(await bearer()).toBe('Bearer sealed')
  expect(at(await secretOf('web'), 'status')).toEqual({ sizes: { token: 6 } })
  await daemon.apply([reference('web', 'env', { token: 'CASTELLAN_SECRET_KEYED' })])
  expect(await bearer()).toBe(`Bearer ${FROM_ENV}`)
  const lost = daemon.apply([reference('web', 'env', { another: 'CASTELLAN_SECRET_KEYED' })])
  await expect(lost).rejects.toThrow('the key token is used by Server/web')
  await daemon.apply([reference('web', 'file', { token: 'web-token' })])
  expect(await bearer()).toBe('Bearer one')
})

test.each([
  ['env', 'PATH', 'spec.refs.key: must be the name of a variable that begins with CASTELLAN_SECRET_'],
  ['env', 'CASTELLAN_MASTER_KEY', 'spec.refs.key: must be the name of a variable'],
  ['file', '../../etc/passwd', 'spec.refs.key: must be a plain path'],
  ['file', '/etc/passwd', 'spec.refs.key: must be below a directory'],
  ['vault', 'x', 'spec.backend: there is no such backend; there are encrypted, env, file'],
  ['fiel', 'x', 'did you mean file?'],
  ['encrypted', 'x', 'spec.data: is required'],
])('%s with %s is refused when it is applied', async (backend, ref, says) => {
  const refused = daemon.apply([reference('hostile', backend, { key: ref })])
  await expect(refused).rejects.toThrow(says)
  await expect(refused).rejects.not.toThrow('etc/passwd')
})

test('showing the values reads them anew, on the record, and says which cannot be read', async () => {
  expect(await daemon.call('GET', '/api/v1/secrets/several/values')).toEqual({
    kind: 'Secret',
    name: 'several',
    values: { late: 'late', token: 'one' },
    unread: { out: 'it is a link that leads out of the directory' },
  })
  const audit = JSON.stringify(await daemon.call('GET', '/api/v1/audit?limit=20'))
  expect(audit).toContain('reveal-secret')
})

test('a directory that goes away leaves the last value in use, and says so; after a restart there is none', async () => {
  await rename(mounted, `${mounted}.away`)
  await until('it is kept', async () => (await stateOf('web', 'token')) === 'kept', 5000)
  expect(await bearer()).toBe('Bearer one')
  await daemon.stop()
  daemon = await startDaemon(home, 0, options)
  expect(await stateOf('web', 'token')).toBe('away')
  await rename(`${mounted}.away`, mounted)
  client = await openLegacy({
    url: endpoint(daemon, 'demo'),
    token: await createToken(daemon, 'demo', 'again'),
  })
  await until('it is back', async () => (await bearer()) === 'Bearer one')
})

test('neither a log nor a row holds any of it', async () => {
  for (const name of [
    'logs/daemon.log',
    'control.db',
    'control.db-wal',
    'state.db',
    'audit.db',
    'audit.db-wal',
  ]) {
    const bytes = await readFile(join(home, name)).catch(() => Buffer.alloc(0))
    for (const value of [FROM_ENV, NOT_ASKED]) expect([name, bytes.includes(value)]).toEqual([name, false])
  }
})

test('of several daemons each reads what it has itself, and says whose word it is', async () => {
  const ours = join(base, 'ours')
  const theirs = join(base, 'theirs')
  for (const [folder, value] of [
    [ours, 'ours'],
    [theirs, 'theirs'],
  ] as const) {
    await mkdir(folder)
    await writeFile(join(folder, 'token'), value)
  }
  const fleet = await startFleet({ env: { CASTELLAN_SECRET_DIRS: ours } })
  try {
    const other = await fleet.another({
      env: { CASTELLAN_SECRET_DIRS: theirs, CASTELLAN_SECRET_HERE: 'only-here' },
    })
    const header = (name: string, secret: string): Json => ({ name, ...fromSecret(secret, 'token') })
    await other.apply([
      reference('each', 'file', { token: 'token' }),
      reference('here', 'env', { token: 'CASTELLAN_SECRET_HERE' }),
      httpServer('both', upstream.url, { headers: [header('X-Token', 'each')] }),
      httpServer('one', upstream.url, { headers: [header('X-Token', 'here')] }),
      project('both', ['both', 'one']),
    ])
    const { atA, atB } = await accessAtBoth({ a: fleet.a, b: other }, 'both')
    const carried = async (access: Access, server: string): Promise<unknown> => {
      const count = upstream.count('tools/call')
      const caller = await openLegacy(access)
      const { text } = await caller.ask('tools/call', {
        name: `${server}__echo`,
        arguments: { message: 'x' },
      })
      return upstream.count('tools/call') > count ? upstream.last('tools/call')?.headers['x-token'] : text
    }
    await until('the configuration has arrived', async () => (await carried(atA, 'both')) === 'ours')
    expect([await carried(atB, 'both'), await carried(atB, 'one')]).toEqual(['theirs', 'only-here'])
    expect(await carried(atA, 'one')).toContain('castellan describe secret here')
    for (const [daemon, state] of [
      [fleet.a, 'absent'],
      [other, 'ready'],
    ] as const) {
      const { status } = (await daemon.call('GET', '/api/v1/secrets/here')) as Json
      expect(status).toMatchObject({ keys: { token: { state } } })
      expect(at(status, 'daemon')).toMatch(new RegExp(`/${daemon.pid}$`))
    }
  } finally {
    await fleet.end()
  }
})
