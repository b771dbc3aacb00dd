import { lstatSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SecretValue } from '../../src/lib/secret-value.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import {
  bubblewrapWorks,
  makePlace,
  openAt,
  processesWith,
  sandboxes,
  type Place,
  specOf,
  startProbe,
} from './runtime-harness.ts'

let place: Place
let runtime: Runtime
beforeEach(async () => {
  place = makePlace()
  runtime = await openAt(place)
})
afterEach(async () => {
  await runtime.close()
  place.remove()
})

/** Covered by an empty folder; or, in a checkout below `/tmp` or the home, together with all around it. */
const isClosed = ({ ok, error }: { readonly ok?: unknown; readonly error?: string }): boolean =>
  error === 'ENOENT' || (Array.isArray(ok) && ok.length === 0)

describe.runIf(bubblewrapWorks)('what a server in bubblewrap can see', () => {
  test('neither the home nor the master key, and its own home in their place', async () => {
    writeFileSync(join(place.userHome, 'diary.txt'), 'private')
    writeFileSync(join(place.home, 'master.key'), 'key')
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    expect(await probe.ask('list', { path: place.userHome })).toMatchObject({ ok: [] })
    expect(await probe.ask('read', { path: join(place.userHome, 'diary.txt') })).toMatchObject({
      error: 'ENOENT',
    })
    expect(await probe.ask('read', { path: join(place.home, 'master.key') })).toMatchObject({
      error: 'ENOENT',
    })
    expect(await probe.ask('list', { path: place.home })).toSatisfy(isClosed)
    expect(await probe.ask('list', { path: '/run' })).not.toMatchObject({
      ok: expect.arrayContaining(['user']),
    })
    expect(await probe.ask('cwd')).toMatchObject({ ok: place.userHome })
    await probe.ask('write', { path: join(place.userHome, 'cache'), text: 'kept' })
    await probe.instance.stop()
    const again = await startProbe(runtime, specOf('stdio-probe.js'))
    expect(await again.ask('read', { path: join(place.userHome, 'cache') })).toMatchObject({ ok: 'kept' })
    expect(() => lstatSync(join(place.userHome, 'cache'))).toThrow('ENOENT')
  })

  test('no write outside its home, its private /tmp and what it was given', async () => {
    const given = join(place.userHome, 'given')
    const cwd = join(place.userHome, 'work')
    for (const folder of [given, cwd]) mkdirSync(folder)
    writeFileSync(join(given, 'a'), 'text')
    const mounts = [...specOf('stdio-probe.js').mounts, { path: given, access: 'read' as const }]
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { cwd, mounts }))
    expect(await probe.ask('write', { path: '/usr/x' })).toMatchObject({ error: 'EROFS' })
    await probe.ask('write', { path: join(place.base, 'x') })
    expect(await probe.ask('write', { path: join(given, 'a') })).toMatchObject({ error: 'EROFS' })
    await probe.ask('write', { path: join(place.home, 'x') })
    for (const folder of [place.base, place.home])
      expect(() => lstatSync(join(folder, 'x'))).toThrow('ENOENT')
    expect(await probe.ask('read', { path: join(given, 'a') })).toMatchObject({ ok: 'text' })
    expect(await probe.ask('write', { path: '/tmp/x' })).not.toHaveProperty('error')
    expect(await probe.ask('write', { path: 'here' })).not.toHaveProperty('error')
    expect(readFileSync(join(cwd, 'here'), 'utf8')).toBe('x')
  })

  test('the home stays closed when it is the working directory, or when a mount holds it', async () => {
    writeFileSync(join(place.userHome, 'diary.txt'), 'private')
    writeFileSync(join(place.home, 'master.key'), 'key')
    const mounts = [...specOf('stdio-probe.js').mounts, { path: place.base, access: 'write' as const }]
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { cwd: place.userHome, mounts }))
    expect(await probe.ask('list', { path: place.userHome })).toMatchObject({ ok: [] })
    expect(await probe.ask('list', { path: place.home })).toMatchObject({ ok: [] })
  })

  test('a folder that is kept stays closed, also when a mount holds it and when its files are replaced', async () => {
    const keys = join(place.base, 'keys')
    mkdirSync(join(keys, 'data'), { recursive: true })
    writeFileSync(join(keys, 'master.key'), 'old')
    writeFileSync(join(keys, 'data', 'a'), 'text')
    await runtime.close()
    runtime = await openAt(place, { kept: [keys, '/etc'] })
    const { mounts } = specOf('stdio-probe.js')
    const around = { path: place.base, access: 'write' as const }
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { mounts: [...mounts, around] }))
    expect(await probe.ask('list', { path: keys })).toMatchObject({ ok: [] })
    writeFileSync(join(keys, 'draft'), 'new')
    renameSync(join(keys, 'draft'), join(keys, 'master.key'))
    expect(await probe.ask('read', { path: join(keys, 'master.key') })).toMatchObject({ error: 'ENOENT' })
    expect(await probe.ask('read', { path: '/etc/hosts' })).not.toHaveProperty('error')
    await probe.instance.stop()
    const within = { path: join(keys, 'data'), access: 'read' as const }
    const below = await startProbe(runtime, specOf('stdio-probe.js', { mounts: [...mounts, within] }))
    expect(await below.ask('read', { path: join(keys, 'data', 'a') })).toMatchObject({ ok: 'text' })
    expect(await below.ask('read', { path: join(keys, 'master.key') })).toMatchObject({ error: 'ENOENT' })
    await below.instance.stop()
    const itself = { path: keys, access: 'read' as const }
    const refused = await startProbe(runtime, specOf('stdio-probe.js', { mounts: [...mounts, itself] }))
    expect(await refused.ended).toMatchObject({ why: 'spawn', message: expect.stringContaining('its key') })
  })

  test('a mount inside the home of Castellan is refused', async () => {
    const mounts = [{ path: join(place.home, 'servers'), access: 'read' as const }]
    mkdirSync(join(place.home, 'servers'))
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { mounts }))
    expect(await probe.ended).toMatchObject({
      why: 'spawn',
      message: expect.stringContaining('spec.mounts[0].path'),
    })
  })

  test('control sockets cannot be reached, wherever their file is', async () => {
    const path = join(place.base, 'control.sock')
    const server = createServer().listen(path)
    await new Promise((resolve) => server.once('listening', resolve))
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    expect(await probe.ask('reach', { path })).not.toHaveProperty('ok')
    expect(await probe.ask('list', { path: '/run' })).not.toMatchObject({
      ok: expect.arrayContaining(['docker.sock']),
    })
    server.close()
  })

  test('names can be resolved', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    const inside = await probe.ask('read', { path: '/etc/resolv.conf' })
    expect(inside.ok).toBe(readFileSync('/etc/resolv.conf', 'utf8'))
  })

  test('a link that a server plants in its home is not followed by the next mount', async () => {
    const outside = join(place.base, 'outside')
    mkdirSync(outside)
    mkdirSync(join(place.userHome, 'a', 'b'), { recursive: true })
    const own = join(place.home, 'servers', 'probe', 'home')
    mkdirSync(own, { recursive: true })
    symlinkSync(outside, join(own, 'a'))
    const mounts = [
      ...specOf('stdio-probe.js').mounts,
      { path: join(place.userHome, 'a', 'b'), access: 'read' as const },
    ]
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { mounts }))
    expect(await probe.ask('list', { path: outside })).toSatisfy(isClosed)
    expect(() => lstatSync(join(outside, 'b'))).toThrow('ENOENT')
  })

  test('LD_PRELOAD of a manifest does not reach what runs outside the sandbox', async () => {
    const probe = await startProbe(
      runtime,
      specOf('stdio-probe.js', { env: { LD_PRELOAD: '/nonexistent.so' } }),
    )
    const own = readFileSync(`/proc/${probe.instance.pid}/environ`, 'utf8')
    expect(own).toBe('')
  })

  test.runIf(process.getuid?.() === 0)(
    'the password file of the machine, when the daemon runs as root',
    async () => {
      const probe = await startProbe(runtime, specOf('stdio-probe.js'))
      expect(await probe.ask('read', { path: '/etc/shadow' })).not.toHaveProperty('ok.length')
    },
  )
})

describe.each(sandboxes)('environment (%s)', (kind) => {
  test('is minimal, and values are in no argument list', async () => {
    const env = {
      PATH: process.env['PATH'],
      NODE_OPTIONS: '--no-warnings',
      GITHUB_TOKEN: 'leak',
      AWS_KEY: 'leak',
    }
    const other = await openAt(place, {
      forceSandbox: kind,
      env: { ...env, HTTPS_PROXY: 'http://me:pw@proxy' },
    })
    const secret = `canary-${process.pid}-${kind}`
    const probe = await startProbe(
      other,
      specOf('stdio-probe.js', { env: { API_KEY: new SecretValue(secret), MODE: 'fast' } }),
    )
    const seen = (await probe.ask('env')).ok as Record<string, string>
    const names = Object.keys(seen).filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))
    expect(names.sort()).toEqual(['API_KEY', 'HOME', 'LANG', 'MODE', 'PATH', 'TMPDIR'])
    expect(seen).toMatchObject({ API_KEY: secret, MODE: 'fast' })
    expect(seen['HOME']).not.toBe(kind === 'reaper' ? place.userHome : place.home)
    expect(processesWith(`canary-${process.pid}`)).toEqual([])
    await other.close()
  })
})
