import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listen, runInMemory, type Answer, type Asked, type Ran } from '../../../test/e2e/cli-in-memory.ts'
import type { CliContext } from '../context.ts'
import { warnIfNotEncrypted } from '../not-encrypted.ts'
import { consent } from './consent.ts'
import type { Provider, ProviderField } from './provider.ts'

const field = (name: string, more: Partial<ProviderField> = {}): ProviderField => ({
  name,
  prompt: `The ${name}`,
  secret: true,
  optional: false,
  ...more,
})
const provider = (id: string, more: Partial<Provider>): Provider => ({
  id,
  aliases: [],
  title: id,
  description: '',
  qualifier: null,
  fields: [field('token')],
  oneOf: [],
  sources: [{ kind: 'prompt', field: 'token' }],
  origins: [],
  runsOnly: false,
  ...more,
})
const shown = { secret: false }
const PROVIDERS: readonly Provider[] = [
  provider('github', {
    aliases: ['gh'],
    sources: [
      { kind: 'env', names: ['GITHUB_TOKEN', 'GH_TOKEN'], field: 'token' },
      { kind: 'command', argv: ['gh', 'auth', 'token'], field: 'token' },
      { kind: 'prompt', field: 'token' },
    ],
  }),
  provider('gemini', {
    fields: [
      field('key', { optional: true }),
      field('token', { optional: true }),
      field('refreshToken', { optional: true }),
    ],
    oneOf: ['key', 'token'],
    sources: [
      { kind: 'reader', name: 'gemini-login', fields: ['token', 'refreshToken'] },
      { kind: 'env', names: ['GEMINI_API_KEY'], field: 'key' },
      { kind: 'prompt', field: 'key' },
    ],
  }),
  provider('npm', {
    qualifier: { name: 'host', example: 'registry.example.com', default: 'registry.npmjs.org' },
    sources: [
      { kind: 'reader', name: 'npmrc', fields: ['token'] },
      { kind: 'env', names: ['NPM_TOKEN'], field: 'token' },
    ],
  }),
  provider('meta', {
    fields: [
      field('token'),
      field('appId', { ...shown, optional: true }),
      field('appSecret', { optional: true }),
    ],
  }),
  provider('aws', {
    runsOnly: true,
    fields: [
      field('role', shown),
      field('region', { ...shown, optional: true }),
      field('awsProfile', { ...shown, optional: true }),
    ],
    sources: [{ kind: 'reader', name: 'aws-profile', fields: ['awsProfile', 'region'] }],
  }),
  provider('strange', {
    sources: [
      { kind: 'command', argv: ['rm', '-rf', '/'], field: 'token' },
      { kind: 'reader', name: 'wallet', fields: ['token'] },
      { kind: 'env', names: ['STRANGE'], field: 'token' },
    ],
  }),
]

let home: string
let daemon: Awaited<ReturnType<typeof listen>> | undefined
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'castellan-granting-'))))
afterEach(async () => {
  await daemon?.close()
  daemon = undefined
  rmSync(home, { recursive: true, force: true })
})

const PROBLEM = { 'content-type': 'application/problem+json' }
const missing: Answer = {
  status: 404,
  headers: PROBLEM,
  body: { title: 'there is nothing by that name', code: 'not_found' },
}

/** What the routes of the daemon answer; `more` goes before. */
async function start(more: (asked: Asked) => Answer | undefined = () => undefined): Promise<void> {
  daemon = await listen((asked) => {
    const { method, path } = asked
    const [route = ''] = path.split('?')
    const special = more(asked)
    if (special !== undefined) return special
    if (route === '/api/v1/grants/providers')
      return { body: { items: PROVIDERS, problems: ['acme.yaml:3:1: no'] } }
    if (route === '/api/v1/servers/context7') return { body: { spec: { auth: { grant: 'mcp:other' } } } }
    if (route.startsWith('/api/v1/servers/')) return missing
    if (route.endsWith('/test')) return { body: { state: 'valid', message: 'it works' } }
    if (method === 'DELETE') return { body: { name: 'x', revoked: false } }
    return { body: { name: 'x', usedBy: [] } }
  })
}

interface Given {
  readonly env?: Record<string, string>
  readonly stdin?: string
}

async function run(line: string | readonly string[], { env = {}, stdin = '' }: Given = {}): Promise<Ran> {
  if (daemon === undefined) await start()
  return runInMemory(typeof line === 'string' ? line.split(' ') : line, {
    env: { CASTELLAN_URL: daemon?.url, ...env },
    cwd: home,
    stdin,
  })
}

const puts = (): readonly Asked[] => daemon?.asked.filter(({ method }) => method === 'PUT') ?? []
const stored = (): unknown => {
  const [one] = puts()
  return (
    one && {
      path: decodeURIComponent(one.path.slice('/api/v1/grants/'.length)),
      ...(JSON.parse(one.body) as object),
    }
  )
}

describe('where a value comes from', () => {
  test('the first variable that is set, named and not shown; then it is tested', async () => {
    const ran = await run('grant gh', { env: { GITHUB_TOKEN: '', GH_TOKEN: ' ghp_canary\n' } })
    expect(ran).toEqual({ code: 0, out: 'github stored\n', err: 'token from GH_TOKEN\ntested: it works\n' })
    expect(stored()).toEqual({ path: 'github', values: { token: 'ghp_canary' }, source: 'env' })
    expect(daemon?.asked.at(-1)).toMatchObject({ method: 'POST', path: '/api/v1/grants/github/test' })
  })

  test('a command, when no variable is set: its first line, without a shell', async () => {
    writeFileSync(join(home, 'gh'), '#!/bin/sh\n[ "$*" = "auth token" ] && echo gho_canary && echo more\n')
    chmodSync(join(home, 'gh'), 0o755)
    const ran = await run('grant github --no-test', { env: { PATH: `${home}:/usr/bin:/bin` } })
    expect(ran).toMatchObject({ code: 0, err: 'GITHUB_TOKEN, GH_TOKEN: not set\ntoken from gh auth token\n' })
    expect(stored()).toMatchObject({ values: { token: 'gho_canary' }, source: 'cli' })
  })

  test('a command that fails is said, without what it wrote; then standard input stands for the prompt', async () => {
    writeFileSync(join(home, 'gh'), '#!/bin/sh\necho canary; echo canary >&2; exit 4\n')
    chmodSync(join(home, 'gh'), 0o755)
    const ran = await run('grant github --no-test', {
      env: { PATH: `${home}:/usr/bin:/bin` },
      stdin: 'typed\n',
    })
    expect(ran.err).toBe('GITHUB_TOKEN, GH_TOKEN: not set\ngh auth token: ended with status 4\n')
    expect(stored()).toMatchObject({ values: { token: 'typed' }, source: 'stdin' })
  })

  test('a daemon does not choose what is run or read here', async () => {
    const ran = await run('grant strange')
    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toContain('rm: this version of castellan does not run it')
    expect(ran.err).toContain('wallet: this version of castellan cannot read it')
    expect(ran.err).toContain('hint: ways to give it: --from cli, --from file, --from env, --from stdin')
  })

  // oxfmt-ignore
  test.each([
    ['env',   'key',   'env'],
    ['stdin', 'piped', 'stdin'],
  ])('--from %s forces one', async (from, key, source) => {
    mkdirSync(join(home, '.gemini'))
    writeFileSync(join(home, '.gemini/oauth_creds.json'), '{"access_token":"of the file"}')
    const ran = await run(`grant gemini --from ${from}`, { env: { GEMINI_API_KEY: 'key' }, stdin: 'piped\n' })
    expect(ran).toMatchObject({ code: 0 })
    expect(stored()).toMatchObject({ values: { key }, source })
  })

  test('of fields that exclude each other the first that is found is taken', async () => {
    mkdirSync(join(home, '.gemini'))
    writeFileSync(join(home, '.gemini/oauth_creds.json'), '{"access_token":"a","refresh_token":"r"}')
    await run('grant gemini', { env: { GEMINI_API_KEY: 'key' } })
    expect(stored()).toMatchObject({ values: { token: 'a', refreshToken: 'r' }, source: 'file' })
  })

  test('nothing that was found goes to another machine without a yes', async () => {
    const { stderr, stdin } = { stderr: process.stderr, stdin: Readable.from([]) }
    const at = (url: string) => ({
      context: { stderr, stdin } as unknown as CliContext,
      target: { url: new URL(url), credential: undefined },
    })
    await expect(consent('GH_TOKEN', false, at('https://castellan.example.com'))).rejects.toThrow(
      'on another machine',
    )
    await expect(consent('GH_TOKEN', true, at('https://castellan.example.com'))).resolves.toBeUndefined()
    await expect(consent('GH_TOKEN', false, at('http://[::1]:7411'))).resolves.toBeUndefined()
  })
})

test('an address that is not encrypted is warned of, but on this machine', () => {
  const written: string[] = []
  const stderr = new Writable({ write: (chunk, _encoding, done) => (written.push(String(chunk)), done()) })
  for (const url of ['http://castellan.example.com', 'https://castellan.example.com', 'http://127.0.0.2:1'])
    warnIfNotEncrypted({ url: new URL(url) }, { stderr })
  expect(written).toEqual([expect.stringContaining('not encrypted')])
})

describe('which grant it becomes', () => {
  // oxfmt-ignore
  test.each([
    ['grant npm',                              'npm:of-the-file.example'],
    ['grant npm --host second.example',        'npm:second.example'],
    ['grant npm:second.example',               'npm:second.example'],
    ['grant npm:a.example --host a.example',   'npm:a.example'],
  ])('%s', async (line, path) => {
    writeFileSync(join(home, '.npmrc'), '//of-the-file.example/:_authToken=t\n')
    expect(await run(line, { env: { NPM_TOKEN: 'n' } })).toMatchObject({ code: 0, out: `${path} stored\n` })
    expect(stored()).toMatchObject({ path })
  })

  test('without a host and a file it is the usual one', async () => {
    expect(await run('grant npm', { env: { NPM_TOKEN: 'n' } })).toMatchObject({
      out: 'npm:registry.npmjs.org stored\n',
    })
  })

  test('whose, which set, where to, and how: as the API takes it', async () => {
    const line =
      'grant github --mine --profile work --url https://git.example.com/api --url https://*.example.com --force'
    expect(await run(line, { env: { GH_TOKEN: 't' } })).toMatchObject({ code: 0 })
    expect(stored()).toEqual({
      path: 'github',
      values: { token: 't' },
      source: 'env',
      origins: ['https://git.example.com', 'https://*.example.com'],
      for: 'me',
      profile: 'work',
      force: true,
    })
    expect(daemon?.asked.at(-1)?.path).toBe('/api/v1/grants/github/test?for=me&profile=work')
  })

  test('values that are no secret are options; nothing else has to be asked', async () => {
    const ran = await run('grant aws --role arn:aws:iam::123456789012:role/x --region eu-west-1')
    expect(ran).toMatchObject({ code: 0, out: 'aws stored\n' })
    expect(ran.err).toContain('aws is of use to runs only')
    expect(stored()).toEqual({
      path: 'aws',
      values: { role: 'arn:aws:iam::123456789012:role/x', region: 'eu-west-1' },
      source: 'cli',
    })
  })

  test('several lines of standard input are several values', async () => {
    await start()
    const ran = await run('grant meta --set appId=123 --from stdin', { stdin: 'token\nmore\n' })
    expect(ran).toMatchObject({ code: 2 })
    expect(await run('grant meta --set appId=123 --from stdin', { stdin: 'token\n' })).toMatchObject({
      code: 0,
    })
    expect(stored()).toMatchObject({ values: { token: 'token', appId: '123' } })
  })
})

// oxfmt-ignore
test.each([
  ['grant',                                            'castellan grant providers lists'],
  ['grant githib',                                     'did you mean github? castellan grant providers lists them, and what is wrong with provider files'],
  ['grant github:x',                                   'there is one grant of github'],
  ['grant npm:a.example --host b.example',             'said twice'],
  ['grant github --set token=canary',                  'may not stand in an argument'],
  ['grant github --set tokne=canary',                  'it has: token'],
  ['grant github --mine --user ada',                   'said twice whose'],
  ['grant github --url http://canary.example.com',     'cannot be sent to one of these'],
  ['grant github --url https://u:canary@example.com',  'cannot be sent to one of these'],
  ['grant github canary',                              'too many arguments'],
  ['grant github --from elsewhere',                    'Allowed choices are env, cli, file, prompt, stdin'],
  ['grant meta --ask appSecret',                       'no terminal to ask on'],
  ['grant aws',                                        'add: --role'],
  ['grant ssh',                                        'add: --host'],
  ['grant mcp ../canary',                              'cannot be the name of a grant'],
  ['grant mcp a..b',                                   'cannot be the name of a grant'],
  ['grant mcp UPPER',                                  'cannot be the name of a grant'],
  ['grant mcp context7 --server s --url https://a.example', 'said twice what it is for'],
  ['grant oauth n --server s --url https://a.example', 'said twice what it is for'],
  ['grant show ../canary',                             'nothing can have this name'],
  ['grant bind github ftp://canary',                   'cannot be sent to one of these'],
  ['grant bind github https://a.example',              'add --yes'],
  ['grant show github --show-token',                   'add --yes'],
  ['grant list --mine --all',                          'two lists'],
])('%s is refused, before anything is stored', async (line, says) => {
  const ran = await run(line, { env: { GH_TOKEN: 't', META_ACCESS_TOKEN: 't' } , stdin: 'token\n'})
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toContain(says)
  expect(ran.err).not.toContain('canary')
  expect(daemon?.asked.filter(({ method }) => method !== 'GET') ?? []).toEqual([])
})

describe('the key of an MCP server', () => {
  test('from standard input, for the server of that name; what uses it is shown', async () => {
    const ran = await run('grant mcp mcp-context7 --stdin --mine --profile work', { stdin: 'canary\n' })
    expect(ran).toMatchObject({ code: 0, out: 'mcp:context7 stored\n' })
    expect(ran.err).toContain('    grant: mcp:context7\n    profile: work\n    whose: per-user\n')
    expect(stored()).toMatchObject({
      path: 'mcp:context7',
      values: { token: 'canary' },
      server: 'context7',
      for: 'me',
    })
  })

  test('for an address, where there is no server', async () => {
    const ran = await run('grant mcp new --url https://mcp.example.com/mcp --stdin', { stdin: 'canary' })
    expect(ran).toMatchObject({ code: 0 })
    expect(stored()).toMatchObject({ origins: ['https://mcp.example.com'] })
    expect(stored()).not.toHaveProperty('server')
  })

  test('nobody types a key for a server that there is not; an empty one is none', async () => {
    expect(await run('grant mcp gone --stdin', { stdin: 'canary' })).toMatchObject({ code: 2 })
    expect(await run('grant mcp context7 --stdin', { stdin: '\n' })).toMatchObject({ code: 2 })
    expect(puts()).toEqual([])
  })

  test('a server that uses it already is left in peace', async () => {
    await start(({ method }) => (method === 'PUT' ? { body: { usedBy: ['other', 'context7'] } } : undefined))
    expect((await run('grant mcp context7 --stdin', { stdin: 'k' })).err).toBe('tested: it works\n')
  })
})

test.each([
  ['invalid', 1, 'it is stored, and it does not work: no'],
  ['unknown', 0, 'not known whether it works: no'],
])('a grant whose test says %s ends with %i', async (state, code, says) => {
  await start(({ path }) => (/\/test(?:\?|$)/.test(path) ? { body: { state, message: 'no' } } : undefined))
  const ran = await run('grant github --mine', { env: { GH_TOKEN: 't' } })
  expect(ran).toMatchObject({ code, out: 'github stored\n' })
  expect(ran.err).toContain(says)
  expect(await run('grant test github')).toMatchObject({ code, out: `github ${state}: no\n` })
})

test('-o json: one document, and nothing of the value', async () => {
  const ran = await run('grant github -o json', { env: { GH_TOKEN: 'canary' } })
  expect(JSON.parse(ran.out)).toEqual({
    name: 'x',
    usedBy: [],
    test: { state: 'valid', message: 'it works' },
  })
  expect(ran.out + ran.err).not.toContain('canary')
})

describe('grant connect', () => {
  const auth = (spec: object) =>
    start(({ path }) => (path === '/api/v1/servers/s' ? { body: { spec: { auth: spec } } } : undefined))

  test('the key of a user, where that is what the server wants', async () => {
    await auth({ grant: 'mcp:search', whose: 'per-user', profile: 'work' })
    const ran = await run('grant connect s', { stdin: 'canary\n' })
    expect(ran).toMatchObject({ code: 0, out: 'mcp:search stored\nserver/s connected\n' })
    expect(stored()).toMatchObject({ path: 'mcp:search', server: 's', for: 'me', profile: 'work' })
  })

  test('the grant of a provider', async () => {
    await auth({ grant: 'github', whose: 'caller' })
    expect(await run('grant connect s', { env: { GH_TOKEN: 't' } })).toMatchObject({ code: 0 })
    expect(stored()).toMatchObject({ path: 'github', for: 'me' })
  })

  // oxfmt-ignore
  test.each([
    [{ grant: 'oauth:s' },                           'castellan grant oauth s --server s'],
    [{ grant: 'github' },                            'castellan grant github'],
    [{ grant: 'mcp:x', whose: 'per-project' },       'castellan grant mcp x --server s --project NAME'],
    [{},                                             'uses no grant'],
  ])('%j is not for a user', async (spec, says) => {
    await auth(spec)
    const ran = await run('grant connect s')
    expect(ran).toMatchObject({ code: 2 })
    expect(ran.err).toContain(says)
  })
})

test('revoke and grant revoke say whether the issuer has taken it back', async () => {
  expect(await run('revoke mcp-context7 --user ada --profile work')).toMatchObject({
    code: 0,
    out: 'mcp:context7 forgotten\n',
  })
  expect(daemon?.asked.at(-1)).toMatchObject({
    method: 'DELETE',
    path: '/api/v1/grants/mcp%3Acontext7?for=user%3Aada&profile=work',
  })
  expect((await run('grant revoke github')).err).toContain('its issuer was not told')
})

test('who may not list the grants of others sees their own', async () => {
  await start(({ path }) => {
    if (path.includes('for=me')) return { body: 'NAME\ngithub\n' }
    return path.startsWith('/api/v1/grants')
      ? { status: 403, headers: PROBLEM, body: { title: 'no', code: 'forbidden' } }
      : undefined
  })
  expect(await run('grant list')).toEqual({
    code: 0,
    out: 'NAME\ngithub\n',
    err: 'your own; you may not list those of others\n',
  })
  expect(await run('grant list --all')).toMatchObject({ code: 1 })
})

test('grant providers: a table for people, and all of it as json', async () => {
  const ran = await run('grant providers')
  expect(ran.out).toContain('GRANT     WHAT     FOUND IN\n')
  expect(ran.err).toBe('acme.yaml:3:1: no\n')
  expect(ran.out).toMatch(/^npm:HOST +npm +\.npmrc, NPM_TOKEN$/m)
  expect((await run('grant providers -o wide')).out).toMatch(
    /^github +gh +github +.* a prompt +- +servers, runs$/m,
  )
  expect(JSON.parse((await run('grant providers -o json')).out)).toEqual({
    items: PROVIDERS,
    problems: ['acme.yaml:3:1: no'],
  })
})
