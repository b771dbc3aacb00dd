import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInAtProvider, startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { bringBack, codeIn } from './sign-in-harness.ts'

/*
 * One daemon, and a person on another machine: a user of the system with a home of their own, who knows its address.
 */

const launcher = fileURLToPath(new URL('../../bin/castellan.js', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'castellan-daemon-'))
const person = mkdtempSync(join(tmpdir(), 'castellan-person-'))
const browser = `${process.execPath} ${fileURLToPath(new URL('../fixtures/browser.ts', import.meta.url))} grace %s`
const PASSWORD = 'correct horse battery staple'
let url = ''
let provider: OidcProvider

function start(at: string, line: string | readonly string[]) {
  const argv = typeof line === 'string' ? line.split(' ') : line
  // No session bus: the keychain of whoever runs the tests is none of our business.
  const bus = `unix:path=${at}/none`
  const env = { PATH: process.env['PATH'], HOME: at, DBUS_SESSION_BUS_ADDRESS: bus, BROWSER: browser }
  return spawn(process.execPath, [launcher, ...argv], { env, cwd: at, stdio: 'pipe' })
}

async function castellan(at: string, line: string | readonly string[], stdin = '') {
  const child = start(at, line)
  child.stdin.end(stdin)
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code: code as number, out, err }
}

const admin = (line: string | readonly string[], stdin?: string) => castellan(home, line, stdin)
const ada = (line: string | readonly string[], stdin?: string) => castellan(person, line, stdin)
const login = (...more: string[]) =>
  ada(['login', '--keep-in', 'file', '--user', 'ada', ...more], `${PASSWORD}\n`)

const MANIFESTS = `
{apiVersion: castellan/v1, kind: User, metadata: {name: ada}, spec: {}}
---
{apiVersion: castellan/v1, kind: Group, metadata: {name: web}, spec: {members: [{kind: User, name: ada}]}}
---
{apiVersion: castellan/v1, kind: Project, metadata: {name: demo}, spec: {servers: []}}
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: {name: web}
spec:
  subjects: [{kind: Group, name: web}]
  bindings: [{role: view, resource: projects}, {role: view, resource: tokens, project: demo}]
`

beforeAll(async () => {
  expect(await admin('up -d --port 0')).toMatchObject({ code: 0 })
  url = (JSON.parse(readFileSync(join(home, '.castellan/daemon.json'), 'utf8')) as { url: string }).url
  expect(await admin('apply -f -', MANIFESTS)).toMatchObject({ code: 0 })
  const credential = readFileSync(join(home, '.castellan/admin-credential'), 'utf8').trim()
  const answer = await fetch(`${url}/api/v1/users/ada/password`, {
    method: 'POST',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify({ password: PASSWORD }),
  })
  expect(answer.status).toBe(200)
  await admin('create token laptop -p demo')
  provider = await startOidcProvider({
    accounts: { grace: { email: 'grace@example.com', email_verified: true, groups: ['web'] } },
    redirectUris: [`${url}/oauth/sign-in/callback`],
  })
  const made = [
    'create',
    'identityprovider',
    'company',
    '--issuer',
    provider.issuer,
    '--client-id',
    'castellan',
  ]
  expect(await admin(made)).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await provider.close()
  await admin('down --force')
})

test('who signs in is somebody, sees what they may, and is nobody again', async () => {
  const signedIn = await login('--url', url, '--context', 'work')
  expect(signedIn).toMatchObject({ code: 0 })
  expect(signedIn.out).toMatch(/^signed in as ada until 20\d\d-/)

  const me = await ada('whoami -o json')
  expect(JSON.parse(me.out)).toMatchObject({
    kind: 'user',
    subject: 'User:ada',
    method: 'password',
    administrator: false,
    groups: ['web'],
    context: 'work',
    url,
  })
  expect((await ada('whoami')).out).toMatch(/^groups +web\n/m)
  expect(await ada('get projects -o name')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/demo\n$/) as string,
  })
  expect(await ada('get servers')).toMatchObject({ code: 1 })

  expect(await ada('auth can-i view project demo --explain')).toMatchObject({
    code: 0,
    out: 'yes   role:view,resource:projects of RoleBinding/web, through Group:web\n',
  })
  expect(await ada('auth can-i edit project demo')).toMatchObject({ code: 1, out: 'no\n' })
  expect((await ada('auth rights')).out).toContain('role:view,resource:tokens,project:demo')
  expect(await ada('auth can-i run logs')).toMatchObject({ code: 1, out: 'no\n' })
  expect(await ada('auth who-can view projects')).toMatchObject({ code: 1 })

  expect(await ada('logout')).toMatchObject({ code: 0, out: 'context work is signed out\n' })
  const after = await ada('whoami')
  expect(after).toMatchObject({ code: 1, out: '' })
  expect(after.err).toContain('hint: castellan login --context work')
})

test('a context fills its project in, where an object is named and nowhere else', async () => {
  await login('--url', url, '--context', 'work')
  await ada('config set-context work -p demo')
  expect((await ada('get tokens -o name')).out).toContain('laptop')
  expect((await ada('get projects -o name')).out).toContain('demo')
  await ada('config set-context work -p other')
  expect((await ada('get tokens -o name')).out).toBe('')
  expect((await ada('get tokens -o name --all-projects')).out).toContain('laptop')
  expect((await ada('get tokens -o name -p demo')).out).toContain('laptop')
})

test('a sign-in that is taken back says what to do', async () => {
  await login('--url', url, '--context', 'work')
  const names = (await admin('get signins -o name')).out.trim().split('\n')
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) expect(await admin(['delete', name])).toMatchObject({ code: 0 })
  expect(await ada('get projects')).toEqual({
    code: 1,
    out: '',
    err: 'error: you are not signed in there, or no longer\nhint: castellan login --context work\n',
  })
  expect(await ada('logout')).toMatchObject({ code: 0 })
})

test('an administrator acts as somebody else, with their rights and with both on the record', async () => {
  expect((await admin('get projects -o name --as User:ada')).out).toContain('demo')
  expect(await admin('--as User:ada delete project demo')).toMatchObject({ code: 1 })
  expect((await admin('auth can-i edit project demo --as Group:web')).out).toBe('no\n')
  expect((await admin('auth who-can view projects -o name')).out).toBe('Group:web\nUser:ada\n')
  await login('--url', url, '--context', 'work')
  const refused = await ada('get projects --as User:ben')
  expect(refused).toMatchObject({ code: 1, out: '' })
  expect(refused.err).toContain('impersonate')
})

test('no credential is on a screen, or in another file than the one for it', async () => {
  const ran = await login('--url', url, '--context', 'work')
  expect(ran.out + ran.err).not.toMatch(/cs[ats]_/)
  const folder = join(person, '.config/castellan')
  const holding = readdirSync(folder).filter((name) => /css_/.test(readFileSync(join(folder, name), 'utf8')))
  expect(holding).toEqual(['config.credentials.json'])
})

test('in a browser on this machine: the code comes back by itself', async () => {
  const ran = await ada([
    'login',
    '--url',
    url,
    '--context',
    'sso',
    '--provider',
    'company',
    '--keep-in',
    'file',
  ])
  expect(ran).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^signed in as grace@example\.com until/) as string,
  })
  expect(JSON.parse((await ada('whoami -o json')).out)).toMatchObject({
    subject: 'User:grace@example.com',
    method: 'company',
    context: 'sso',
  })
  expect(await ada('logout')).toMatchObject({ code: 0 })
})

test('in a browser elsewhere: the code is on the page, and is entered by hand', async () => {
  const child = start(person, [
    'login',
    '--url',
    url,
    '--context',
    'sso',
    '--provider',
    'company',
    '--no-browser',
  ])
  const [shown] = (await once(child.stdout, 'data')) as [Buffer]
  const { text: page } = await bringBack(await signInAtProvider(shown.toString().trim(), 'grace'))
  child.stdin.end(`${codeIn(page)}\n`)
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  expect({ code, out }).toMatchObject({
    code: 0,
    out: expect.stringContaining('grace@example.com') as string,
  })
  expect(err).toContain('since the keychain cannot be used here')
})
