import { hash } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { listen, runInMemory, type Answer, type Asked } from '../../../test/e2e/cli-in-memory.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

const folder = () => mkdtempSync(join(tmpdir(), 'castellan-login-'))
const CODE = 'c'.repeat(43)
const PROBLEM = { 'content-type': 'application/problem+json' }
const REFUSED = { title: 'this sign-in is refused', code: 'sign_in_refused', hint: 'check both' }

/** The routes of a daemon that a sign-in goes through, as far as the command line can tell. */
async function daemon(ways: object = { passwords: true, providers: [] }) {
  let challenge = ''
  let signIns = 0
  const signIn = (): Answer => ({
    body: { credential: `css_${++signIns}`, expiresAt: '2030-01-01T00:00:00.000Z', user: 'ada' },
  })
  function answer({ path, body }: Asked): Answer {
    const given = (body === '' ? {} : JSON.parse(body)) as Record<string, string>
    const started = (at: string) => ({ body: { attempt: 'a1', url: `${server.url}${at}` } })
    switch (path.split('?')[0]) {
      case '/api/v1/auth/providers':
        return { body: ways }
      case '/api/v1/auth/login':
        return given['password'] === 'correct horse'
          ? signIn()
          : { status: 401, headers: PROBLEM, body: REFUSED }
      case '/api/v1/auth/oidc/start':
        challenge = given['challenge'] ?? ''
        return started(`/authorize?port=${given['loopbackPort'] ?? ''}&as=${given['provider'] ?? ''}`)
      case '/authorize': {
        const { searchParams } = new URL(path, server.url)
        const said = searchParams.get('as') === 'strict' ? 'error=nobody%1b[2J%20here' : `code=${CODE}`
        return { status: 302, headers: { location: `http://127.0.0.1:${searchParams.get('port')}/?${said}` } }
      }
      case '/api/v1/auth/oidc/finish': {
        const isHis = hash('sha256', given['verifier'] ?? '', 'base64url') === challenge
        return isHis && given['code'] === CODE ? signIn() : { status: 401, headers: PROBLEM, body: REFUSED }
      }
      default:
        return { body: 'NAME\nfoo' }
    }
  }
  const server = await listen(answer)
  open.push(server)
  return server
}

const KEEP = ['--keep-in', 'file']
const run = (
  dir: string,
  argv: readonly string[],
  given: { stdin?: string; env?: Record<string, string> } = {},
) => runInMemory(argv, { cwd: dir, ...given })

test('a password signs in; the context is used by each verb, until it signs out', async () => {
  const server = await daemon()
  const dir = folder()
  const ran = await run(dir, ['login', '--url', server.url, '--user', 'ada', '--context', 'work', ...KEEP], {
    stdin: 'correct horse\n',
  })
  expect(ran).toMatchObject({ code: 0, out: 'signed in as ada until 2030-01-01T00:00:00.000Z\n' })
  expect(ran.err).toContain('context work is in use')
  expect(JSON.parse(server.asked.at(-1)!.body)).toEqual({ user: 'ada', password: 'correct horse' })
  const config = readFileSync(join(dir, '.config/castellan/config.json'), 'utf8')
  expect(ran.out + ran.err + config).not.toMatch(/css_|correct horse/)

  expect(await run(dir, ['get', 'servers'])).toMatchObject({ code: 0, err: '' })
  expect(server.asked.at(-1)).toMatchObject({ authorization: 'Bearer css_1' })

  expect(await run(dir, ['logout'])).toMatchObject({ code: 0, out: 'context work is signed out\n' })
  expect(server.asked.at(-1)).toMatchObject({ path: '/api/v1/auth/logout', authorization: 'Bearer css_1' })
  expect(await run(dir, ['get', 'servers'])).toMatchObject({ code: 0 })
  expect(server.asked.at(-1)?.authorization).toBeUndefined()
})

test('signing in again ends the sign-in before, and keeps the project of the context', async () => {
  const server = await daemon()
  const dir = folder()
  const login = ['login', '--url', server.url, '--user', 'ada', ...KEEP]
  await run(dir, login, { stdin: 'correct horse' })
  const [, name = ''] = /context (\S+) is in use/.exec(
    (await run(dir, login, { stdin: 'correct horse' })).err,
  ) ?? ['', '']
  expect(name).toMatch(/^127\.0\.0\.1-\d+$/)
  expect(server.asked.at(-1)).toMatchObject({ path: '/api/v1/auth/logout', authorization: 'Bearer css_1' })
  await run(dir, ['config', 'set-context', name, '-p', 'demo'])
  await run(dir, ['login', '--user', 'ada', ...KEEP], { stdin: 'correct horse' })
  await run(dir, ['get', 'tokens'])
  expect(server.asked.at(-1)).toMatchObject({
    path: '/api/v1/tokens?output=table&project=demo&limit=500',
    authorization: 'Bearer css_3',
  })
})

test('what is refused says so, and leaves no context', async () => {
  const server = await daemon()
  const dir = folder()
  const ran = await run(dir, ['login', '--url', server.url, '--user', 'ada', ...KEEP], { stdin: 'hunter2' })
  expect(ran).toMatchObject({ code: 1, out: '', err: 'error: this sign-in is refused\nhint: check both\n' })
  expect(await run(dir, ['config', 'get-contexts', '-o', 'name'])).toMatchObject({ out: 'home\n' })
})

/** A browser that follows where it is led, and nothing else. */
function browser(dir: string): Record<string, string> {
  const path = join(dir, 'browser')
  writeFileSync(path, `#!${process.execPath}\nfetch(process.argv[2]).then((r) => r.text())\n`)
  chmodSync(path, 0o755)
  return { BROWSER: path, PATH: process.env['PATH'] ?? '' }
}

test('a browser on this machine brings the code by itself', async () => {
  const server = await daemon({ passwords: false, providers: [{ name: 'company' }] })
  const dir = folder()
  const ran = await run(dir, ['login', '--url', server.url, ...KEEP], { env: browser(dir) })
  expect(ran).toMatchObject({ code: 0, out: 'signed in as ada until 2030-01-01T00:00:00.000Z\n' })
  expect(ran.err).toContain(`${server.url}/authorize?port=`)
})

test('a browser may want the address somewhere among its arguments', async () => {
  const server = await daemon({ passwords: false, providers: [{ name: 'company' }] })
  const dir = folder()
  const env = browser(dir)
  const ran = await run(dir, ['login', '--url', server.url, ...KEEP], {
    env: { ...env, BROWSER: `${env['BROWSER']} %s --new-window:lynx` },
  })
  expect(ran).toMatchObject({ code: 0 })
})

test('what the provider says against it is shown, without what moves a cursor', async () => {
  const server = await daemon({ passwords: false, providers: [{ name: 'strict' }] })
  const dir = folder()
  const ran = await run(dir, ['login', '--url', server.url, ...KEEP], { env: browser(dir) })
  expect(ran).toMatchObject({ code: 1, out: '' })
  expect(ran.err).toContain('error: nobody [2J here\nhint: begin again: castellan login')
})

test('with the browser elsewhere the code is pasted', async () => {
  const server = await daemon()
  const dir = folder()
  const argv = ['login', '--url', server.url, '--provider', 'company', '--no-browser', ...KEEP]
  expect(await run(dir, argv, { stdin: `${CODE}\n` })).toMatchObject({
    code: 0,
    out: expect.stringContaining(`${server.url}/authorize?port=&as=company\n`) as string,
  })
  expect(await run(dir, argv, { stdin: 'x' })).toMatchObject({ code: 1 })
})

test.each([
  [['--user', 'ada', '--provider', 'company'], 'give either --user or --provider'],
  [['--url', 'ftp://h'], 'not an http or https address'],
  [['--context', 'home'], 'does not sign in'],
  [['--context', 'nowhere'], 'give its address'],
])('login %j is refused before anything is sent', async (argv, says) => {
  const ran = await run(folder(), ['login', ...argv])
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toContain(says)
})

test('several ways to sign in are listed', async () => {
  const server = await daemon({ passwords: true, providers: [{ name: 'company' }, { name: 'partner' }] })
  const ran = await run(folder(), ['login', '--url', server.url])
  expect(ran).toMatchObject({ code: 2 })
  expect(ran.err).toContain(
    'choose one: castellan login --provider company, or --provider partner, or --user NAME',
  )
})

test('a daemon that is away is not told of the end, and that is said', async () => {
  const server = await daemon()
  const dir = folder()
  await run(dir, ['login', '--url', server.url, '--user', 'ada', ...KEEP], { stdin: 'correct horse' })
  await open.pop()?.close()
  const ran = await run(dir, ['logout'])
  expect(ran).toMatchObject({ code: 1 })
  expect(ran.err).toContain('there it ends at 2030-01-01T00:00:00.000Z')
  expect(readFileSync(join(dir, '.config/castellan/config.json'), 'utf8')).toContain('"credential": "none"')
})
