import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { MAX_VALUE_BYTES, type Reading, type SecretBackend } from '../../src/secrets/backends/backend.ts'
import { ownReference } from '../../src/secrets/backends/encrypted/encrypted-backend.ts'
import { takeVariables } from '../../src/secrets/backends/env/take-variables.ts'
import { openBackends, type BackendOptions } from '../../src/secrets/backends/registry.ts'
import { openSecretStore } from './secret-store.ts'

/*
 * What every SecretBackend has to do. A further one adds a stage: how to put a value there, how to take it away, what it
 * cannot hold.
 */

interface Stage {
  readonly backend: SecretBackend
  /** How a value is referred to that `put` has put there. */
  reference(name: string): string
  put(name: string, bytes: Buffer): Promise<void>
  remove(name: string): Promise<void>
  /** Makes it unreachable; undefined: it cannot be. */
  takeAway?: (() => Promise<() => Promise<void>>) | undefined
  /** It is given its values once, before anything is read. */
  readonly fixed?: boolean
  /** Admission keeps such values from it. */
  readonly neverHolds: readonly ('empty' | 'too large' | 'not text' | 'NUL')[]
  /** Whether the line break at the end of a value belongs to it. */
  readonly keepsLastBreak: boolean
  /** References that lead to something that is there, and not its business. */
  readonly foreign: readonly string[]
  /** What no message may hold. */
  readonly private: readonly string[]
  close(): Promise<void>
}

const VALUE = 'planted-value-of-a-backend'
const BIG = 'x'.repeat(MAX_VALUE_BYTES)
const NO_SECRETS: BackendOptions['env'] = { prefix: 'CASTELLAN_SECRET_', variables: new Map() }

const VALUES: Readonly<Record<string, Buffer>> = {
  present: Buffer.from(VALUE),
  other: Buffer.from(`${VALUE}-other`),
  empty: Buffer.alloc(0),
  big: Buffer.from(BIG),
  larger: Buffer.from(`${BIG}y`),
  bytes: Buffer.from([0x70, 0xff, 0xfe, 0x71]),
  nul: Buffer.from('a\0b'),
  break: Buffer.from(`${VALUE}\n`),
  windows: Buffer.from(`${VALUE}\r\n`),
  lines: Buffer.from('-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n\n'),
  wide: Buffer.from('pässwörd-🔑'),
}

const HOSTILE: readonly string[] = [
  ['', ' ', '.', '..', '/', '//', '~/.ssh/id', 'file:///etc/passwd', '$HOME', '${PATH}'],
  ['../../etc/passwd', '..\\..\\etc\\passwd', '%2e%2e/%2e%2e/etc/passwd', '/etc/passwd'],
  ['a\0b', 'a\nb', '\ud800', 'x'.repeat(200_000), '__proto__', 'constructor', 'toString'],
].flat()

const find = (options: Partial<BackendOptions>, name: string): SecretBackend => {
  const all = openBackends({
    encrypted: { sealer: { open: () => new SecretValue('') }, find: () => Promise.resolve(undefined) },
    env: NO_SECRETS,
    file: { directories: [], never: [] },
    ...options,
  })
  const found = all.find(name)
  if (found === undefined) throw new Error(`there is no backend ${name}`)
  return found
}

async function encryptedStage(): Promise<Stage> {
  const store = await openSecretStore()
  return {
    backend: find({ encrypted: store }, 'encrypted'),
    reference: (name) => ownReference(store.uid, name),
    put: (name, bytes) => store.put(name, new SecretValue(bytes.toString())),
    remove: (name) => store.remove(name),
    takeAway: async () => {
      await store.close()
      return () => store.reopen()
    },
    neverHolds: ['empty', 'too large', 'not text', 'NUL'],
    keepsLastBreak: true,
    foreign: [ownReference('usr_other', 'password')],
    private: [store.home],
    close: () => store.end(),
  }
}

/** As Node has a variable of these bytes. */
const decoded = (bytes: Buffer): string => new TextDecoder('utf-8').decode(bytes)

function envStage(): Promise<Stage> {
  const prefix = 'CASTELLAN_SECRET_'
  const environment: Record<string, string> = { PATH: '/usr/bin', CASTELLAN_MASTER_KEY: 'planted-master-key' }
  const reference = (name: string): string => `${prefix}${name.toUpperCase()}`
  for (const [name, bytes] of Object.entries(VALUES)) environment[reference(name)] = decoded(bytes)
  const variables = takeVariables(environment, prefix, [])
  return Promise.resolve({
    backend: find({ env: { prefix, variables } }, 'env'),
    reference,
    put: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    fixed: true,
    neverHolds: [],
    keepsLastBreak: true,
    foreign: ['PATH', 'CASTELLAN_MASTER_KEY', prefix],
    private: ['planted-master-key'],
    close: () => Promise.resolve(),
  })
}

async function fileStage(): Promise<Stage> {
  const base = await mkdtemp(join(tmpdir(), 'castellan-backend-'))
  const directory = join(base, 'secrets')
  await mkdir(join(directory, 'team'), { recursive: true })
  await writeFile(join(base, 'outside'), 'planted-outside')
  const at = (name: string): string => join(directory, 'team', name)
  return {
    backend: find({ file: { directories: [directory], never: [] } }, 'file'),
    reference: (name) => `team/${name}`,
    async put(name, bytes) {
      await writeFile(`${at(name)}.part`, bytes)
      await rename(`${at(name)}.part`, at(name))
    },
    remove: (name) => rm(at(name)),
    async takeAway() {
      await rename(directory, `${directory}.away`)
      return () => rename(`${directory}.away`, directory)
    },
    neverHolds: [],
    keepsLastBreak: false,
    foreign: [
      '../outside',
      join(base, 'outside'),
      `${directory}/../outside`,
      'team/../../outside',
      '/etc/passwd',
      'team',
    ],
    private: [base, 'planted-outside'],
    close: () => rm(base, { recursive: true }),
  }
}

const STAGES: readonly (readonly [name: string, open: () => Promise<Stage>])[] = [
  ['encrypted', encryptedStage],
  ['env', envStage],
  ['file', fileStage],
]

test('each backend that there is keeps the contract', () => {
  const { names } = openBackends({
    encrypted: { sealer: { open: () => new SecretValue('') }, find: () => Promise.resolve(undefined) },
    env: NO_SECRETS,
    file: { directories: [], never: [] },
  })
  expect(names).toEqual(STAGES.map(([name]) => name))
})

describe.each(STAGES)('%s', (name, openStage) => {
  let stage: Stage
  /** Everything that it has said about why there is no value. */
  const said: string[] = []
  const read = async (reference: string): Promise<Reading> => {
    const reading = await stage.backend.read(reference, AbortSignal.timeout(5000))
    if (!reading.ok) said.push(reading.error.message)
    return reading
  }
  const textOf = async (value: string): Promise<string> => {
    const reading = await read(stage.reference(value))
    return reading.ok ? reading.value.reveal() : `${reading.error.kind}: ${reading.error.message}`
  }
  const kindOf = async (reference: string): Promise<string> => {
    const reading = await read(reference)
    return reading.ok ? 'a value' : reading.error.kind
  }

  beforeAll(async () => {
    stage = await openStage()
    for (const [value, bytes] of Object.entries(VALUES)) await stage.put(value, bytes)
  })
  afterAll(async () => {
    stage.backend.close()
    await stage.close()
  })

  test('says what it is, and that it is there', async () => {
    expect(stage.backend).toMatchObject({ name, writable: name === 'encrypted' })
    expect(stage.backend.describe()).toMatch(/^[\x20-\x7e]{5,200}$/)
    expect(stage.backend.parallel).toBeGreaterThan(0)
    expect(await stage.backend.health(AbortSignal.timeout(5000))).toEqual({ ok: true, value: undefined })
  })

  test('reads what is there, to the byte, and hands it over as a secret', async () => {
    for (const value of ['present', 'wide', 'big'])
      expect(await textOf(value)).toBe(VALUES[value]?.toString())
    const reading = await read(stage.reference('present'))
    expect(`${JSON.stringify(reading)} ${String(reading.ok && reading.value)}`).not.toContain(VALUE)
    expect(stage.backend.check(stage.reference('present'))).toBeUndefined()
  })

  test('the line break at the end', async () => {
    const last = stage.keepsLastBreak
    expect(await textOf('break')).toBe(last ? `${VALUE}\n` : VALUE)
    expect(await textOf('windows')).toBe(last ? `${VALUE}\r\n` : VALUE)
    const lines = VALUES['lines']?.toString() ?? ''
    expect(await textOf('lines')).toBe(last ? lines : lines.slice(0, -1))
  })

  test('what is not there is absent, and what is no value is unusable', async () => {
    expect(await kindOf(stage.reference('nothing'))).toBe('absent')
    const cases = [
      ['empty', 'empty'],
      ['too large', 'larger'],
      ['not text', 'bytes'],
      ['NUL', 'nul'],
    ] as const
    for (const [what, value] of cases) {
      if (stage.neverHolds.includes(what)) continue
      expect([what, await kindOf(stage.reference(value))]).toEqual([what, 'unusable'])
    }
  })

  test('another value is read as soon as it is there, and none once it is gone', async () => {
    if (stage.fixed === true) return
    await stage.put('changing', Buffer.from('first'))
    expect(await textOf('changing')).toBe('first')
    await stage.put('changing', Buffer.from('second'))
    expect(await textOf('changing')).toBe('second')
    await stage.remove('changing')
    expect(await kindOf(stage.reference('changing'))).toBe('absent')
  })

  test('read while it changes, it is one of the values, whole', async () => {
    if (stage.fixed === true) return
    const all = ['a', 'b', 'c'].map((letter, i) => letter.repeat(20_000 * (i + 1)))
    await stage.put('rotating', Buffer.from(all[0] ?? ''))
    const writer = { done: false }
    const writing = (async () => {
      for (let i = 0; i < 150; i++) await stage.put('rotating', Buffer.from(all[i % 3] ?? ''))
      writer.done = true
    })()
    while (!writer.done) {
      const reading = await read(stage.reference('rotating'))
      // It may be given up that nobody knows what is there; what is there is known.
      if (reading.ok) expect(all.includes(reading.value.reveal())).toBe(true)
      else expect(reading.error.kind).toBe('away')
    }
    await writing
  })

  test('when it cannot be asked it is away, and it comes back', async () => {
    if (stage.takeAway === undefined) return
    const bringBack = await stage.takeAway()
    expect(await kindOf(stage.reference('present'))).toBe('away')
    const health = await stage.backend.health(AbortSignal.timeout(5000))
    expect(health.ok).toBe(false)
    if (!health.ok) said.push(health.error)
    await bringBack()
    expect(await textOf('present')).toBe(VALUE)
  })

  test('a thousand reads at once', async () => {
    const values = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => textOf(i % 2 === 0 ? 'present' : 'other')),
    )
    expect(new Set(values)).toEqual(new Set([VALUE, `${VALUE}-other`]))
    expect(values.filter((value, i) => value !== (i % 2 === 0 ? VALUE : `${VALUE}-other`))).toEqual([])
  })

  test('a reference never leads to what is not its business, whatever it looks like', async () => {
    const present = stage.reference('present')
    for (const reference of [...HOSTILE, `${present}\0`, `${present}\n`, ...stage.foreign]) {
      const about = JSON.stringify(reference.slice(0, 60))
      expect([about, await kindOf(reference)]).toEqual([
        about,
        expect.stringMatching(/^(?:absent|unusable)$/),
      ])
      const problem = stage.backend.check(reference)
      if (problem !== undefined) said.push(problem)
    }
  })

  test('nothing that it has said holds a value, or a place that the reference does not name', () => {
    expect(said.length).toBeGreaterThan(10)
    const secret = [VALUE, 'etc/passwd', 'pässwörd', ...stage.private]
    expect(said.filter((text) => secret.some((part) => text.includes(part)))).toEqual([])
    expect(said.filter((text) => text.length > 160)).toEqual([])
  })
})

test('a variable whose bytes are no text arrives as the stage has it', () => {
  const script = 'process.stdout.write(process.env.BAD)'
  const { stdout } = spawnSync('sh', [
    '-c',
    `BAD="$(printf 'p\\377\\376q')" exec "$0" -e '${script}'`,
    process.execPath,
  ])
  expect(stdout.toString()).toBe(decoded(Buffer.from([0x70, 0xff, 0xfe, 0x71])))
})
