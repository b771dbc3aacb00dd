import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { InstanceEnd, Runtime } from '../../src/runtime/runtime.ts'
import {
  fixtures,
  makePlace,
  openAt,
  type Place,
  processesWith,
  sandboxes,
  specOf,
  startProbe,
  waitFor,
} from './runtime-harness.ts'

describe.each(sandboxes)('an instance (%s)', (kind) => {
  let place: Place
  let runtime: Runtime
  beforeEach(async () => {
    place = makePlace()
    runtime = await openAt(place, { forceSandbox: kind })
  })
  afterEach(async () => {
    await runtime.close()
    place.remove()
  })

  test('that holds too much memory is ended, a single process', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { memoryMiB: 200 }))
    probe.send('hold', { mib: 400 })
    expect(await probe.ended).toMatchObject({
      why: 'memory',
      message: expect.stringContaining('memoryMiB (200)'),
    })
  })

  test('that grows faster than one looks is stopped by the limit of its process', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { memoryMiB: 200 }))
    probe.send('hold', { mib: 4000 })
    expect(await probe.ended).toMatchObject({ why: 'memory' })
  })

  test('that holds too much memory in many children is ended with them', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { memoryMiB: 300 }))
    const { ok: children } = await probe.ask('children', { count: 6, mib: 80 })
    expect(children).toHaveLength(6)
    expect(await probe.ended).toMatchObject({ why: 'memory' })
  })

  test('that prints 50 MB without a newline is ended, and no line is made of it', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { messageMiB: 1 }))
    probe.send('flood', { mib: 50 })
    expect(await probe.ended).toMatchObject({
      why: 'output',
      message: expect.stringContaining('messageMiB (1)'),
    })
    expect(probe.lines).toEqual([])
  })

  test('that prints garbage goes on, and the lines are passed on', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    probe.send('print', { text: '\n\r\nWelcome!\r\n' })
    await probe.ask('cwd')
    expect(probe.lines[0]).toBe('Welcome!')
  })

  test('that never reads its input says so by write(), and is ended past the bound', async () => {
    const probe = await startProbe(runtime, specOf('stdio-deaf.js', { messageMiB: 1 }))
    const megabyte = Buffer.alloc(1 << 20, 97)
    expect(probe.instance.write(megabyte)).toBe(false)
    for (let i = 0; i < 20; i++) probe.instance.write(megabyte)
    expect(await probe.ended).toMatchObject({
      why: 'output',
      message: expect.stringContaining('does not read'),
    })
    await probe.instance.drained()
  })

  test('takes a large message in pieces, and drained() tells when', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    const answer = probe.ask('say', { text: 'x'.repeat(3 << 20) })
    await probe.instance.drained()
    expect(await answer).toHaveProperty('ok')
  })

  test('stops by itself when its input closes, and stop() is idempotent', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    await probe.ask('cwd')
    await Promise.all([probe.instance.stop(), probe.instance.stop()])
    expect(await probe.ended).toMatchObject({ why: 'stopped', code: 0 })
    expect(probe.instance.write(Buffer.from('{}'))).toBe(false)
  })

  test('that does not mind its input gets SIGTERM, then SIGKILL', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    await probe.ask('stubborn')
    await probe.instance.stop()
    expect(probe.lines).toContain('"term"')
    expect(await probe.ended).toMatchObject({ why: 'stopped' })
  })

  test('that exits at once says with what status, and where to look', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { args: ['-e', 'process.exit(7)'] }))
    const end = await probe.ended
    expect(end).toMatchObject({ why: 'exit', code: 7 })
    expect(end.message).toContain('castellan logs server probe')
  })

  test.each([
    ['a command that does not exist', { command: 'no-such-program' }, 'spec.command is not found in PATH'],
    ['a path that does not exist', { command: '/no/such' }, 'spec.command names a file that does not exist'],
    ['a file that is not executable', { command: join(fixtures, 'stdio-deaf.js') }, 'chmod +x'],
    ['a folder', { command: '/usr' }, 'not a program'],
    ['a missing working directory', { cwd: '/no/such' }, 'spec.cwd does not exist'],
    ['a NUL in an argument', { args: ['a\0--bind'] }, 'NUL'],
  ])('is not started for %s', async (_what, more, sentence) => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js', more))
    const end: InstanceEnd = await probe.ended
    expect(end).toMatchObject({ why: 'spawn', message: expect.stringContaining(sentence) })
    expect(end.message).not.toContain('such')
    await probe.instance.stop()
  })

  test('runs beside another by the same key, and ends without it', async () => {
    const older = await startProbe(runtime, specOf('stdio-probe.js'))
    const newer = await startProbe(runtime, specOf('stdio-probe.js'))
    expect(newer.instance.pid).not.toBe(older.instance.pid)
    await older.instance.stop()
    expect(await newer.ask('cwd')).toHaveProperty('ok')
  })

  test('leaves no process behind when it exits', async () => {
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    const mark = `mark-${process.pid}-${kind}`
    await probe.ask('children', { count: 2, mib: 1, mark })
    await waitFor(() => processesWith(mark).length === 2, 'both children run')
    await probe.instance.stop()
    await waitFor(() => processesWith(mark).length === 0, 'both are gone')
  })

  test('has what it says on standard error in its log', async () => {
    const text = `a \u001b[31mred\u001b[0m\u0007 line\n`
    const probe = await startProbe(runtime, specOf('stdio-probe.js'))
    await probe.ask('say', { text })
    const path = join(place.home, 'logs', 'servers', 'probe.log')
    await waitFor(() => readFileSync(path, 'utf8').includes('Z a red line\n'), 'the line is in the log')
  })

  test('whose argument names a hidden file gets told about mounts', async () => {
    mkdirSync(join(place.userHome, 'project'))
    const script = join(place.userHome, 'project', 'server.js')
    writeFileSync(script, 'process.exit(0)')
    const probe = await startProbe(runtime, specOf('stdio-probe.js', { args: [script] }))
    const end = await probe.ended
    expect(end.why).toBe('exit')
    expect(end.message.includes('spec.mounts')).toBe(kind === 'bubblewrap')
    expect(end.message).not.toContain('project')
  })
})
