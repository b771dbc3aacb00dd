import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'

const launcher = fileURLToPath(new URL('../../bin/castellan.js', import.meta.url))
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
const everything = join(modules, '@modelcontextprotocol/server-everything/dist/index.js')
const homes: string[] = []

afterEach(async () => {
  for (const home of homes.splice(0)) await castellan(home, ['down', '--force'])
})

function newHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'castellan-daemon-'))
  homes.push(home)
  return home
}

async function castellan(
  home: string,
  argv: readonly string[],
  given: { stdin?: string; token?: string } = {},
) {
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    CASTELLAN_HOME: home,
    ...(given.token === undefined ? {} : { CASTELLAN_TOKEN: given.token }),
  }
  const child = spawn(process.execPath, [launcher, ...argv], {
    env,
    cwd: home,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.end(given.stdin ?? '')
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code: code as number, out, err }
}

const recordOf = (home: string) =>
  JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as { pid: number; url: string }

test('from an empty home to a tool call, and to the end', async () => {
  const home = newHome()
  const manifest = JSON.stringify({
    apiVersion: 'castellan/v1',
    kind: 'Server',
    metadata: { name: 'everything' },
    spec: { transport: 'stdio', command: process.execPath, args: [everything], mounts: [{ path: modules }] },
  })
  expect(await castellan(home, ['up', '-d', '--port', '0'])).toMatchObject({ code: 0 })
  const { pid, url } = recordOf(home)
  const second = await castellan(home, ['up', '--port', '0'])
  expect(second).toMatchObject({ code: 1, out: '' })
  expect(second.err).toContain(`with pid ${pid}`)
  expect(await castellan(home, ['apply', '-f', '-'], { stdin: manifest })).toMatchObject({
    out: 'server/everything created\n',
  })
  expect(await castellan(home, ['create', 'project', 'demo', '--server', 'everything'])).toMatchObject({
    code: 0,
  })
  const made = await castellan(home, ['create', 'token', 't', '-p', 'demo', '-o', 'json'])
  const token = (JSON.parse(made.out) as { secret: string }).secret
  const call = [
    'test',
    'mcp',
    `${url}/projects/demo/mcp`,
    '--tool',
    'everything__echo',
    '--args',
    '{"message":"hi"}',
  ]
  const called = await castellan(home, call, { token })
  expect(called).toMatchObject({ code: 0, err: '' })
  expect(await castellan(home, call, { token: 'cst_wrong' })).toMatchObject({ code: 1 })
  for (const kind of ['servers', 'projects', 'tokens']) {
    const { out } = await castellan(home, ['get', kind, '-p', 'demo', '-o', 'yaml'])
    const again = await castellan(home, ['apply', '-f', '-'], { stdin: out })
    expect(again.out).toMatch(/^\S+ unchanged( \(project demo\))?\n$/)
  }
  expect(await castellan(home, ['__complete', '--', 'get', 'servers', 'ev'])).toMatchObject({
    out: 'everything\t\n',
  })
  expect(await castellan(home, ['audit', 'verify'])).toMatchObject({ code: 0 })
  expect(await castellan(home, ['down'])).toMatchObject({ code: 0, out: 'the daemon has stopped\n' })
  expect((await castellan(home, ['down'])).out).toContain('no daemon is running')
})

test('after kill -9 the home says so, and starts again', async () => {
  const home = newHome()
  await castellan(home, ['up', '-d', '--port', '0'])
  process.kill(recordOf(home).pid, 'SIGKILL')
  await expect.poll(async () => (await castellan(home, ['down'])).out).toContain('no daemon is running')
  expect((await castellan(home, ['status'])).err).toContain('start one with: castellan up')
  expect(await castellan(home, ['up', '-d', '--port', '0'])).toMatchObject({ code: 0 })
})

test('a start that fails shows its reason and leaves nothing running', async () => {
  const home = newHome()
  const bad = await castellan(home, ['up', '-d', '--port', '0', '-f', '-'], { stdin: 'kind: Nothing\n' })
  expect(bad).toMatchObject({ code: 2, out: '' })
  expect((await castellan(home, ['down'])).out).toContain('no daemon is running')
  const taken = await castellan(home, ['up', '-d', '--host', '203.0.113.1', '--port', '0'])
  expect(taken).toMatchObject({ code: 1 })
  expect(taken.err).toContain('the daemon did not start')
})
