import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readAwsProfile } from './aws-profile.ts'
import { readClaudeLogin, readGeminiLogin } from './logins.ts'
import { readNpmrc } from './npmrc.ts'
import type { Reader, SourceAnswer } from './provider.ts'
import { readSshAgent } from './ssh-agent.ts'

let home: string
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'castellan-readers-'))))
afterEach(() => rmSync(home, { recursive: true, force: true }))

function put(path: string, text: string): void {
  mkdirSync(dirname(join(home, path)), { recursive: true })
  writeFileSync(join(home, path), text)
}

interface Asked {
  readonly env?: Record<string, string>
  readonly qualifier?: string
  readonly given?: Record<string, string>
}

async function read(reader: Reader, { env = {}, qualifier, given = {} }: Asked = {}): Promise<SourceAnswer> {
  const drain = () => new Writable({ write: (_chunk, _encoding, done) => done() })
  const context = {
    stdout: drain(),
    stderr: drain(),
    stdin: Readable.from([]),
    env,
    cwd: join(home, 'work'),
    userHome: home,
    version: () => ({ version: '0', node: '24' }),
  }
  return reader({ context, qualifier, given: new Map(Object.entries(given)) })
}

/** The values in the clear: the test may look. */
const valuesIn = (answer: SourceAnswer): object =>
  answer.found ? Object.fromEntries([...answer.values].map(([name, value]) => [name, value.reveal()])) : {}

describe('the login of Claude Code', () => {
  const PATH = '.claude/.credentials.json'

  test('token, refresh token and its end are read; that it is shared is said', async () => {
    const expiresAt = Date.parse('2030-01-02T03:04:05Z')
    put(
      PATH,
      JSON.stringify({
        claudeAiOauth: { accessToken: 'sk-ant-oat-x', refreshToken: 'sk-ant-ort-y', expiresAt },
      }),
    )
    const answer = await read(readClaudeLogin)
    expect(valuesIn(answer)).toEqual({ token: 'sk-ant-oat-x', refreshToken: 'sk-ant-ort-y' })
    expect(answer).toMatchObject({ says: join(home, PATH), expiresAt: '2030-01-02T03:04:05.000Z' })
    expect(answer.found && answer.note).toContain('stays in use by its own program')
  })

  test('CLAUDE_CONFIG_DIR says where it is', async () => {
    put('elsewhere/.credentials.json', JSON.stringify({ claudeAiOauth: { accessToken: 'sk-ant-oat-x' } }))
    const answer = await read(readClaudeLogin, { env: { CLAUDE_CONFIG_DIR: join(home, 'elsewhere') } })
    expect(valuesIn(answer)).toEqual({ token: 'sk-ant-oat-x' })
  })

  test('without a file, and without a login in it, there is nothing', async () => {
    expect(await read(readClaudeLogin)).toEqual({ found: false, says: `${join(home, PATH)}: not there` })
    put(PATH, '{"other":{}}')
    expect(await read(readClaudeLogin)).toMatchObject({ found: false })
  })

  // oxfmt-ignore
  test.each([
    ['is cut',            '{"claudeAiOauth":{"accessToken":"canary', 'is not JSON'],
    ['is a list',         '["canary"]',                              'does not hold a JSON object'],
    ['has no token',      '{"claudeAiOauth":{"canary":1}}',          'holds no access token'],
    ['has another token', '{"claudeAiOauth":{"accessToken":{}}}',    'holds no access token'],
    ['is too large',      `{"canary":"${'x'.repeat(300_000)}"}`,     'is larger than 256 KiB'],
  ])('a file that %s is named with what is wrong, and nothing of it is repeated', async (_, text, says) => {
    put(PATH, text)
    const thrown: unknown = await read(readClaudeLogin).catch((error: unknown) => error)
    expect(String(thrown)).toContain(`${join(home, PATH)} ${says}`)
    expect(JSON.stringify(thrown) + String(thrown)).not.toContain('canary')
  })

  test('a folder in its place is no file', async () => {
    mkdirSync(join(home, PATH), { recursive: true })
    await expect(read(readClaudeLogin)).rejects.toThrow('is not a file')
  })
})

test('the login of Gemini CLI', async () => {
  const path = '.gemini/oauth_creds.json'
  expect(await read(readGeminiLogin)).toMatchObject({ found: false })
  put(path, JSON.stringify({ access_token: 'ya29.x', refresh_token: '1//y', expiry_date: 1e18 }))
  const answer = await read(readGeminiLogin)
  expect(valuesIn(answer)).toEqual({ token: 'ya29.x', refreshToken: '1//y' })
  expect(answer.found && answer.expiresAt).toBeUndefined()
})

describe('.npmrc', () => {
  test('the one of the project goes before that of the user; quotes and variables are read as npm does', async () => {
    put(
      '.npmrc',
      '//registry.example.com/:_authToken=of-the-user\n//Other.example.com/npm/:_authToken="quoted"\n',
    )
    put(
      'work/.npmrc',
      '; //registry.example.com/:_authToken=comment\n\n//registry.example.com/:_authToken = ${TOKEN}-x\n',
    )
    const ofProject = await read(readNpmrc, { qualifier: 'registry.example.com', env: { TOKEN: 'abc' } })
    expect(valuesIn(ofProject)).toEqual({ token: 'abc-x' })
    expect(ofProject.says).toBe(`${join(home, 'work/.npmrc')}:3`)
    expect(valuesIn(await read(readNpmrc, { qualifier: 'other.example.com' }))).toEqual({ token: 'quoted' })
  })

  test('a variable that is not set is named with its line', async () => {
    put('.npmrc', '//registry.example.com/:_authToken=canary-${TOKEN}\n')
    const thrown = await read(readNpmrc, { qualifier: 'registry.example.com' }).catch(String)
    expect(thrown).toContain(`${join(home, '.npmrc')}:1 refers to the variable TOKEN, which is not set`)
    expect(thrown).not.toContain('canary')
  })

  test('without a host it is the only registry with a token; of several one has to be chosen', async () => {
    put('.npmrc', 'registry=https://registry.example.com\n//registry.example.com/:_authToken=t\n')
    expect(await read(readNpmrc)).toMatchObject({ found: true, qualifier: 'registry.example.com' })
    put('work/.npmrc', '//second.example.com/:_authToken=t\n')
    await expect(read(readNpmrc)).rejects.toMatchObject({
      body: {
        hint: expect.stringContaining('--host second.example.com, or --host registry.example.com') as string,
      },
    })
  })

  test('NPM_CONFIG_USERCONFIG is the one of the user; other keys are no tokens', async () => {
    put('mine', '//registry.example.com/:_authToken=t\n//third.example.com/:_password=canary\n')
    const env = { NPM_CONFIG_USERCONFIG: join(home, 'mine') }
    expect(await read(readNpmrc, { env })).toMatchObject({ qualifier: 'registry.example.com' })
    expect(await read(readNpmrc, { env, qualifier: 'third.example.com' })).toMatchObject({ found: false })
  })
})

describe('the AWS configuration', () => {
  const CONFIG = '[default]\nregion = eu-west-1\n\n[profile work]\nregion=eu-central-1\nrole_arn = canary\n'

  // oxfmt-ignore
  test.each([
    ['the profile of the environment', { env: { AWS_PROFILE: 'work' } }, { awsProfile: 'work', region: 'eu-central-1' }],
    ['one that is given', { given: { awsProfile: 'work' }, env: { AWS_PROFILE: 'other' } }, { awsProfile: 'work', region: 'eu-central-1' }],
    ['a region of the environment', { env: { AWS_REGION: 'us-east-1' } }, { region: 'us-east-1' }],
    ['the default profile', {}, { region: 'eu-west-1' }],
  ])('%s', async (_, asked, values) => {
    put('.aws/config', CONFIG)
    expect(valuesIn(await read(readAwsProfile, asked))).toEqual(values)
  })

  test('a profile that this machine does not have is said, with those it has; keys are not read', async () => {
    put('.aws/config', CONFIG)
    put('.aws/credentials', '[keys-only]\naws_secret_access_key = canary\n')
    const answer = await read(readAwsProfile, { env: { AWS_PROFILE: 'typo' } })
    expect(answer.found && answer.note).toBe(
      'this machine has no profile by that name; it has default, keys-only, work',
    )
    expect(JSON.stringify(valuesIn(answer))).not.toContain('canary')
  })

  test('without one there is nothing', async () => {
    expect(await read(readAwsProfile)).toMatchObject({ found: false })
  })
})

describe('the SSH agent', () => {
  let agent: Server | undefined
  afterEach(() => void agent?.close())

  /** Something that listens where an agent does, and answers with these bytes. */
  async function listen(answer: Buffer | undefined): Promise<string> {
    const path = join(home, 'agent')
    agent = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => (answer === undefined ? socket.destroy() : socket.write(answer)))
    })
    await new Promise<void>((resolve) => agent?.listen(path, resolve))
    return path
  }
  const text = (bytes: string | Buffer): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(bytes))
    return Buffer.concat([length, Buffer.from(bytes)])
  }
  const number = (value: number): Buffer => Buffer.from([0, 0, 0, value])
  const message = (...parts: readonly Buffer[]): Buffer => text(Buffer.concat(parts))
  const key = (comment: string): Buffer[] => [
    text(Buffer.concat([text('ssh-ed25519'), text(comment)])),
    text(comment),
  ]

  test('the only key is taken, by its fingerprint; a comment moves no cursor', async () => {
    const socket = await listen(message(Buffer.from([12]), number(1), ...key('me\x1b[2Jhere')))
    const answer = await read(readSshAgent, { env: { SSH_AUTH_SOCK: socket } })
    expect(answer.says).toMatch(/^the SSH agent: ssh-ed25519 SHA256:[A-Za-z0-9+/]{43} me\?\[2Jhere$/)
    expect(Object.keys(valuesIn(answer))).toEqual(['key'])
  })

  test('of several keys one is named, where nobody can be asked', async () => {
    const socket = await listen(message(Buffer.from([12]), number(2), ...key('one'), ...key('two')))
    await expect(read(readSshAgent, { env: { SSH_AUTH_SOCK: socket } })).rejects.toMatchObject({
      body: {
        hint: expect.stringMatching(/--key .*SHA256:\S+ one, or ssh-ed25519 SHA256:\S+ two/) as string,
      },
    })
  })

  // oxfmt-ignore
  test.each([
    ['closes',                       undefined,                                                    'closed the connection'],
    ['answers something else',       message(Buffer.from([5])),                                    'does not answer as an SSH agent'],
    ['promises more keys than come', message(Buffer.from([12]), number(200), ...key('one')),       'does not answer as an SSH agent'],
    ['has a key that does not end',  message(Buffer.from([12]), number(1), Buffer.alloc(4, 0x7f)), 'does not answer as an SSH agent'],
    ['answers with 2 GiB',           Buffer.alloc(8, 0x7f),                                        'answers with too much'],
    ['holds no key',                 message(Buffer.from([12]), number(0)),                        'holds no key'],
  ])('one that %s is refused', async (_, answer, says) => {
    await expect(read(readSshAgent, { env: { SSH_AUTH_SOCK: await listen(answer) } })).rejects.toThrow(says)
  })

  test('none is named, or the one that is named is gone', async () => {
    await expect(read(readSshAgent)).rejects.toThrow('SSH_AUTH_SOCK is not set')
    await expect(read(readSshAgent, { env: { SSH_AUTH_SOCK: join(home, 'gone') } })).rejects.toThrow(
      'cannot be reached',
    )
  })
})
