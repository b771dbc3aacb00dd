import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { InstanceSpec, Runtime } from '../../src/runtime/runtime.ts'
import { bubblewrapWorks, makePlace, openAt, type Place, startProbe } from './runtime-harness.ts'

const SCRIPT = `
import { existsSync } from 'node:fs'
import { word } from './word.js'
console.log(JSON.stringify({ word, node: process.execPath, private: process.argv.slice(2).map((path) => existsSync(path)) }))
`

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

function writeProgram(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, 0o755)
}

/** A package with a program of two modules, installed where `modules` says, with its link in `.bin`. */
function installPackage(modules: string, shebang: string): string {
  const folder = join(modules, 'thing')
  writeProgram(join(folder, 'cli.js'), `${shebang}\n${SCRIPT}`)
  writeFileSync(join(folder, 'word.js'), `export const word = 'found'`)
  writeFileSync(join(folder, 'package.json'), '{"name":"thing","type":"module"}')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  symlinkSync('../thing/cli.js', join(modules, '.bin', 'thing'))
  return join(modules, '.bin', 'thing')
}

/** Runs it to its end; returns the line that it printed. */
async function runOnce(more: Partial<InstanceSpec> & { command: string }): Promise<unknown> {
  const spec: InstanceSpec = {
    server: 'thing',
    key: 'thing',
    args: [],
    env: {},
    mounts: [],
    memoryMiB: 512,
    messageMiB: 1,
    ...more,
  }
  const probe = await startProbe(runtime, spec)
  const end = await probe.ended
  return probe.lines[0] === undefined ? end : JSON.parse(probe.lines[0])
}

describe.runIf(bubblewrapWorks)('a program below the masked home runs', () => {
  test('from node_modules/.bin of a checkout, which itself stays hidden', async () => {
    const checkout = join(place.userHome, 'checkout')
    const command = installPackage(join(checkout, 'node_modules'), '#!/usr/bin/env node')
    writeFileSync(join(checkout, '.env'), 'TOKEN=x')
    const seen = await runOnce({
      command,
      args: [join(checkout, '.env'), join(checkout, 'node_modules', 'thing')],
    })
    expect(seen).toMatchObject({ word: 'found', private: [false, true] })
  })

  test('under a folder that is a link to where it is', async () => {
    const elsewhere = join(place.userHome, 'shared', 'node_modules')
    installPackage(elsewhere, '#!/usr/bin/env node')
    const checkout = join(place.userHome, 'checkout')
    mkdirSync(checkout)
    symlinkSync(elsewhere, join(checkout, 'node_modules'))
    const seen = await runOnce({ command: join(checkout, 'node_modules', '.bin', 'thing') })
    expect(seen).toMatchObject({ word: 'found' })
  })

  test('from an nvm-like prefix found in PATH, with the node of that prefix', async () => {
    const prefix = join(place.userHome, '.nvm', 'versions', 'node', 'v24.0.0')
    mkdirSync(join(prefix, 'bin'), { recursive: true })
    copyFileSync(process.execPath, join(prefix, 'bin', 'node'))
    installPackage(join(prefix, 'lib', 'node_modules'), '#!/usr/bin/env node')
    symlinkSync('../lib/node_modules/thing/cli.js', join(prefix, 'bin', 'thing'))
    writeFileSync(join(place.userHome, '.nvm', 'secret'), 'x')
    const seen = await runOnce({
      command: 'thing',
      args: [join(place.userHome, '.nvm', 'secret')],
      env: { PATH: `${join(prefix, 'bin')}:/usr/bin:/bin` },
    })
    expect(seen).toMatchObject({ word: 'found', node: join(prefix, 'bin', 'node'), private: [false] })
  })

  test('from a package that node_modules links to', async () => {
    const checkout = join(place.userHome, 'workspace')
    const source = installPackage(join(checkout, 'packages'), '#!/usr/bin/env node')
    mkdirSync(join(checkout, 'node_modules', '.bin'), { recursive: true })
    symlinkSync('../packages/thing', join(checkout, 'node_modules', 'thing'))
    symlinkSync('../thing/cli.js', join(checkout, 'node_modules', '.bin', 'thing'))
    const seen = await runOnce({ command: join(checkout, 'node_modules', '.bin', 'thing'), args: [source] })
    expect(seen).toMatchObject({ word: 'found', private: [false] })
  })

  test('from a Python-like environment, whose interpreter is elsewhere in the home', async () => {
    const base = join(place.userHome, '.pyenv', 'versions', '3.12.1')
    mkdirSync(join(base, 'lib'), { recursive: true })
    mkdirSync(join(base, 'bin'))
    symlinkSync('/bin/sh', join(base, 'bin', 'python'))
    const venv = join(place.userHome, 'project', '.venv')
    mkdirSync(join(venv, 'bin'), { recursive: true })
    writeFileSync(join(venv, 'pyvenv.cfg'), 'home = x')
    symlinkSync(join(base, 'bin', 'python'), join(venv, 'bin', 'python'))
    writeProgram(join(venv, 'bin', 'tool'), `#!${join(venv, 'bin', 'python')}\necho '{"word":"found"}'\n`)
    expect(await runOnce({ command: join(venv, 'bin', 'tool') })).toEqual({ word: 'found' })
  })

  test('from a folder of programs in the home, without what lies beside it', async () => {
    const local = join(place.userHome, '.local')
    writeProgram(join(local, 'bin', 'other'), '#!/bin/sh\necho \'{"word":"found"}\'\n')
    writeProgram(join(local, 'bin', 'tool'), `#!/bin/sh\ntest -e "$1" || exec "$(dirname "$0")/other"\n`)
    mkdirSync(join(local, 'lib'))
    mkdirSync(join(local, 'share'))
    const seen = await runOnce({ command: join(local, 'bin', 'tool'), args: [join(local, 'share')] })
    expect(seen).toEqual({ word: 'found' })
  })

  test('but not from the home of Castellan', async () => {
    writeProgram(join(place.home, 'tool'), '#!/bin/sh\necho hi\n')
    expect(await runOnce({ command: join(place.home, 'tool') })).toMatchObject({
      why: 'spawn',
      message: expect.stringContaining('lies in the home of Castellan'),
    })
  })
})
