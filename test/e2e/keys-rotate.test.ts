import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { connectAll, startLoad } from './fleet-clients.ts'
import { createToken, endpoint, httpServer, project, secret, until } from './gateway-harness.ts'
import { digestOf, startKeyedServer, type KeyedServer } from './keys-server.ts'
import { castellan, ok } from './system-harness.ts'

/* Another master key in the place of the one in use, at one daemon on its embedded store. */

let home: string
let daemon: Daemon
let upstream: KeyedServer

const SECRETS = 100
const OF_ONE = 100
const valueOf = (i: number, k: number): string => `value-${i}-${k}-planted`

interface Report {
  readonly keys: readonly {
    readonly id: string
    readonly state: string
    readonly values: Record<string, number>
  }[]
  readonly rotation?: { readonly left: number; readonly shut?: number }
}
const report = async (): Promise<Report> => (await daemon.call('GET', '/api/v1/keys')) as Report
const keyInUse = async (): Promise<string> =>
  (await report()).keys.find(({ state }) => state === 'in-use')?.id ?? 'none'
const atRest = async (): Promise<void> => {
  await until('the rotation ends', async () => (await report()).rotation === undefined, 60_000)
}
const restart = async (env: Readonly<Record<string, string>> = {}): Promise<void> => {
  await daemon.stop()
  daemon = await startDaemon(home, 0, { env })
}
const reveal = async (name: string): Promise<Record<string, string>> =>
  ((await daemon.call('GET', `/api/v1/secrets/${name}/values`)) as { values: Record<string, string> }).values

beforeAll(async () => {
  home = await makeHome()
  daemon = await startDaemon(home)
  upstream = await startKeyedServer()
  const headers = [
    { name: 'Authorization', valueFrom: { secretRef: { name: 's0', key: 'k0' }, prefix: 'Bearer ' } },
  ]
  await daemon.apply([
    ...Array.from({ length: SECRETS }, (_, i) =>
      secret(
        `s${i}`,
        Object.fromEntries(Array.from({ length: OF_ONE }, (__, k) => [`k${k}`, valueOf(i, k)])),
      ),
    ),
    httpServer('keyed', upstream.url, { headers }),
    project('keyed', ['keyed']),
  ])
}, 60_000)
afterAll(async () => {
  await daemon?.stop()
  await upstream?.close()
  await removeHome(home)
})

test('10,000 values are sealed anew while calls run: none fails, and nothing is sealed with the old key', async () => {
  const old = await keyInUse()
  const oldText = readFileSync(join(home, 'master.key'), 'utf8')
  const before = sealedTexts()
  const access = { url: endpoint(daemon, 'keyed'), token: await createToken(daemon, 'keyed', 'load') }
  const clients = await connectAll(access)
  const load = startLoad(clients, [['keyed__who', {}]])
  await load.more('calls before')
  const rotated = await castellan(['keys', 'rotate'], { home })
  expect(rotated).toMatchObject({ status: 0, stderr: expect.stringContaining('is retired') as string })
  const next = rotated.stdout.trim()
  await load.more('calls after')
  await load.end()
  expect(load.failed).toEqual([])
  for (const client of clients) await client.close()
  const { keys } = await report()
  expect(keys.map(({ id, state }) => [id, state])).toEqual([
    [next, 'in-use'],
    [old, 'retired'],
  ])
  expect(keys[0]?.values['secrets']).toBe(SECRETS * OF_ONE)
  expect(keys[1]?.values).toEqual({})
  expect(readFileSync(join(home, 'master.key'), 'utf8')).toContain(next)
  expect(readFileSync(join(home, 'master.key'), 'utf8')).not.toBe(oldText)
  await until('the old key is gone', () => !readdirSync(home).includes(`master.key.${old}`))
  expect(readdirSync(home).filter((name) => name.startsWith('master.key'))).toEqual(['master.key'])
  // Whoever has the old key and these files has nothing: what it has sealed is not even in their empty pages.
  for (const name of ['control.db', 'control.db-wal']) {
    const file = readFileSync(join(home, name))
    expect(before.filter((text) => file.includes(text))).toEqual([])
  }
}, 120_000)

/** Some of what is sealed, as it is in the file of the database. */
function sealedTexts(): string[] {
  const db = new DatabaseSync(join(home, 'control.db'), { readOnly: true })
  const rows = db.prepare('select ciphertext, wrapped_key from sealed limit 500').all()
  db.close()
  return [...new Set(rows.flatMap((row) => Object.values(row).map(String)))]
}

test('each value opens in the next life, each call carries its own, and the record verifies across the change', async () => {
  await restart()
  expect(await reveal('s7')).toMatchObject({ k0: valueOf(7, 0), k99: valueOf(7, 99) })
  const access = { url: endpoint(daemon, 'keyed'), token: await createToken(daemon, 'keyed', 'after') }
  for (const client of await connectAll(access)) {
    expect(JSON.stringify(await client.call('keyed__who', {}))).toContain(digestOf(`Bearer ${valueOf(0, 0)}`))
    await client.close()
  }
  expect(await ok(['audit', 'verify'], { home })).toContain('nothing was changed')
  const events = await ok(['audit', '--kind', 'operation', '-o', 'json'], { home })
  expect(events).toContain('run rotate-key')
  expect(events).toContain('run retire-key')
})

test('of two rotations at once one is refused, and a key that was used before is no next one', async () => {
  const old = readFileSync(join(home, 'master.key'), 'utf8')
  const both = await Promise.all([
    castellan(['keys', 'rotate', '--keep-old'], { home }),
    castellan(['keys', 'rotate', '--keep-old'], { home }),
  ])
  const refused = both.filter(({ status }) => status !== 0)
  // Whoever comes after the end of the first is one more rotation.
  for (const { stderr } of refused) expect(stderr).toContain('castellan keys list')
  await atRest()
  const kept = join(home, `master.key.${old.split(' ')[1]}`)
  expect(readFileSync(kept, 'utf8')).toBe(old)
  const back = await castellan(['keys', 'rotate', '--to', kept], { home })
  expect(back).toMatchObject({ status: 2, stderr: expect.stringContaining('used before') as string })
})

test('a value that does not open stops the end, is named in the log, and lets it go on once it is set again', async () => {
  const { openStore } = await import('../../src/store/open.ts')
  const { silentLog } = await import('../../src/lib/log.ts')
  await daemon.stop()
  const store = await openStore({ home }, silentLog)
  const rows = await store.control.selectFrom('sealed').selectAll().orderBy('uid', 'desc').limit(2).execute()
  const [one, two] = rows
  if (one === undefined || two === undefined) throw new Error('there are no values')
  const { nonce, ciphertext, wrapped_key } = two
  await store.control
    .updateTable('sealed')
    .set({ nonce, ciphertext, wrapped_key })
    .where('uid', '=', one.uid)
    .where('field', '=', one.field)
    .execute()
  const owner = await store.control
    .selectFrom('resources')
    .select('name')
    .where('uid', '=', one.uid)
    .executeTakeFirstOrThrow()
  await store.close()
  daemon = await startDaemon(home)
  const old = await keyInUse()
  const said = await castellan(['keys', 'rotate'], { home })
  expect(said.stderr).toContain('1 values do not open')
  const { rotation, keys } = await report()
  expect(rotation).toMatchObject({ left: 1, shut: 1 })
  expect(keys.map(({ state }) => state).slice(0, 2)).toEqual(['in-use', 'replaced'])
  expect(readdirSync(home)).toContain(`master.key.${old}`)
  await restart()
  expect((await report()).rotation).toMatchObject({ left: 1 })
  await daemon.apply([secret(owner.name, { [one.field]: 'set again' })])
  await atRest()
  await until('the old key is gone', () => !readdirSync(home).includes(`master.key.${old}`))
}, 60_000)

test('a key from the environment is replaced by one that is given; until its daemon starts with that, both open the store', async () => {
  const text = readFileSync(join(home, 'master.key'), 'utf8').trim()
  await restart({ CASTELLAN_MASTER_KEY: text })
  const alone = await castellan(['keys', 'rotate'], { home })
  expect(alone).toMatchObject({ status: 1, stderr: expect.stringContaining('--to FILE') as string })
  const file = join(home, 'next.key')
  const id = (await ok(['keys', 'new', '--out', file], { home })).trim()
  expect(await castellan(['keys', 'new', '--out', file], { home })).toMatchObject({ status: 1 })
  const rotated = await castellan(['keys', 'rotate', '--to', file], { home })
  expect(rotated.stderr).toContain('still starts with another key (environment)')
  expect(rotated.stdout + rotated.stderr).not.toContain(readFileSync(file, 'utf8').trim().split(' ')[2])
  await restart({ CASTELLAN_MASTER_KEY: text })
  expect(await keyInUse()).toBe(id)
  expect(await reveal('s9')).toMatchObject({ k3: valueOf(9, 3) })
  await restart({ CASTELLAN_MASTER_KEY: readFileSync(file, 'utf8').trim() })
  await atRest()
  expect(await reveal('s9')).toMatchObject({ k3: valueOf(9, 3) })
  await daemon.stop()
  const late = await castellan(['up', '--port', '0'], { home, env: { CASTELLAN_MASTER_KEY: text } })
  expect(late.stderr).toContain(`which was replaced by ${id}`)
  writeFileSync(join(home, 'master.key'), readFileSync(file))
  daemon = await startDaemon(home)
}, 60_000)

test('a key does not travel in the clear, nor come from a file that others may read', async () => {
  const file = join(home, 'open.key')
  writeFileSync(file, 'planted-key', { mode: 0o644 })
  const readable = await castellan(['keys', 'rotate', '--to', file], { home })
  expect(readable).toMatchObject({ status: 2, stderr: expect.stringContaining('chmod 600') as string })
  const env = { CASTELLAN_URL: 'http://castellan.example', CASTELLAN_TOKEN: 'cst_x' }
  const far = await castellan(['keys', 'rotate', '--to', file], { home, env })
  expect(far).toMatchObject({ status: 2, stderr: expect.stringContaining('in the clear') as string })
  const damaged = (await daemon
    .call('POST', '/api/v1/keys/rotate', { key: 'planted-key' })
    .catch(String)) as string
  expect(damaged).toContain('answered 400')
  expect(damaged).not.toContain('planted-key')
})

test('a program gives the key: what it prints next is the next key, and what it starts finds nothing of it', async () => {
  const program = join(home, 'give-key')
  const shown = join(home, 'environment')
  const give = (file: string): void =>
    writeFileSync(program, `#!/bin/sh\nenv > ${shown}\necho from-the-program >&2\ncat ${file}\n`, {
      mode: 0o700,
    })
  give(join(home, 'master.key'))
  await restart({ CASTELLAN_KEY_COMMAND: JSON.stringify([program]) })
  expect(readFileSync(shown, 'utf8')).not.toContain('CASTELLAN_')
  const alone = await castellan(['keys', 'rotate'], { home })
  expect(alone).toMatchObject({ status: 1, stderr: expect.stringContaining('--to FILE') as string })
  const next = join(home, 'program.key')
  const id = (await ok(['keys', 'new', '--out', next], { home })).trim()
  give(next)
  expect((await ok(['keys', 'rotate'], { home })).trim()).toBe(id)
  await atRest()
  await restart({ CASTELLAN_KEY_COMMAND: program })
  expect(await reveal('s11')).toMatchObject({ k5: valueOf(11, 5) })
  expect(await ok(['audit', 'verify'], { home, env: { CASTELLAN_KEY_COMMAND: program } })).toContain('ok')
  await daemon.stop()
  writeFileSync(program, '#!/bin/sh\nexit 3\n', { mode: 0o700 })
  const refused = await castellan(['up', '--port', '0'], { home, env: { CASTELLAN_KEY_COMMAND: program } })
  expect(refused.stderr).toContain('ended with 3')
  writeFileSync(join(home, 'master.key'), readFileSync(next))
  daemon = await startDaemon(home)
}, 60_000)
