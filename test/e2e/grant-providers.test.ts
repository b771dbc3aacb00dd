import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { assumeRole } from '../../src/grants/aws/assume-role.ts'
import { createRoleCredentials, roleSettings } from '../../src/grants/aws/role-credentials.ts'
import type { DescribedProviders } from '../../src/grants/providers/describe-providers.ts'
import { BUILT_IN } from '../../src/grants/providers/registry.ts'
import { testGrant } from '../../src/grants/providers/test-grant.ts'
import { readValues } from '../../src/grants/providers/values.ts'
import { askAgent, fingerprintOf, listKeys } from '../../src/grants/ssh-agent/agent-keys.ts'
import { openFilteredAgent, type FilteredAgent } from '../../src/grants/ssh-agent/filtered-agent.ts'
import {
  fieldsOf,
  framed,
  MAX_MESSAGE_BYTES,
  MESSAGE,
  sshString,
  uint32,
} from '../../src/grants/ssh-agent/wire.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import type { Json } from './gateway-harness.ts'

const run = promisify(execFile)

/** What only a run can use is stored and checked: with a real agent, and an `aws` that does what it is told. */

async function check(id: string, given: Record<string, string>, env: Record<string, string>) {
  const provider = BUILT_IN.find((candidate) => candidate.id === id)
  if (provider === undefined) throw new Error(`there is no ${id}`)
  const values = readValues(provider, given)
  if (!values.ok) throw new Error(values.error.join('; '))
  const grant = { provider, qualifier: 'host.example', values: values.value, allows: () => true }
  return await testGrant(grant, {
    sender: { send: () => Promise.reject(new Error('asks nobody')) },
    tools: { env },
  })
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cst-grants-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const hasSsh = ['ssh-agent', 'ssh-add', 'ssh-keygen'].every(
  (name) => spawnSync(name, ['-?'], { stdio: 'ignore' }).error === undefined,
)

// Without the client of OpenSSH on this machine there is no agent to filter.
describe.runIf(hasSsh)('the filtered SSH agent', () => {
  let host: ChildProcess
  let filter: FilteredAgent
  let [hostPath, path] = ['', '']
  let signed: string[] = []
  const keyOf = (name: string): Promise<Buffer> =>
    readFile(join(folder, `${name}.pub`), 'utf8').then((line) =>
      Buffer.from(line.split(' ')[1] ?? '', 'base64'),
    )
  const sshAdd = (socket: string, ...args: readonly string[]) =>
    run('ssh-add', args, { env: { ...process.env, SSH_AUTH_SOCK: socket } })

  beforeAll(async () => {
    ;[hostPath, path] = [join(folder, 'host.sock'), join(folder, 'filtered.sock')]
    host = spawn('ssh-agent', ['-D', '-a', hostPath], { stdio: 'ignore' })
    for (const [name, type] of [
      ['ours', 'ed25519'],
      ['other', 'ed25519'],
      ['rsa', 'rsa'],
    ] as const)
      await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', name, '-f', join(folder, name)])
    while (!existsSync(hostPath)) await sleep(20)
    await sshAdd(hostPath, join(folder, 'other'), join(folder, 'ours'), join(folder, 'rsa'))
    const fingerprint = fingerprintOf(await keyOf('ours'))
    filter = await openFilteredAgent({
      path,
      agentPath: hostPath,
      fingerprint,
      onSign: (outcome) => signed.push(outcome),
    })
  })
  beforeEach(() => {
    signed = []
  })
  afterAll(async () => {
    await filter.close()
    host.kill()
  })

  /** What a client signs to log in: RFC 4252 §7. */
  const loginWith = (blob: Buffer, algorithm: string): Buffer =>
    Buffer.concat([
      sshString(Buffer.alloc(32, 7)),
      Buffer.from([50]),
      ...['git', 'ssh-connection', 'publickey'].map((text) => sshString(Buffer.from(text))),
      Buffer.from([1]),
      sshString(Buffer.from(algorithm)),
      sshString(blob),
    ])
  const signRequest = (blob: Buffer, data: Buffer, flags = 0): Buffer =>
    framed(MESSAGE.signRequest, sshString(blob), sshString(data), uint32(flags))
  const ask = (message: Buffer): Promise<Buffer> => askAgent(path, message, 10_000)
  const FAILED = Buffer.from([MESSAGE.failure])

  test('lists the one key that it is for, to everybody who asks at the same time', async () => {
    const [all, one] = await Promise.all([sshAdd(hostPath, '-l'), sshAdd(path, '-l')])
    expect(all.stdout.trim().split('\n')).toHaveLength(3)
    expect(one.stdout).toMatch(
      new RegExp(`^256 ${fingerprintOf(await keyOf('ours')).replaceAll('+', '\\+')} ours \\(ED25519\\)\n$`),
    )
    const lists = await Promise.all(Array.from({ length: 40 }, () => listKeys(path, 10_000)))
    expect(lists.map((keys) => keys.length)).toEqual(lists.map(() => 1))
  })

  test('signs a login with that key, and the signature is good', async () => {
    const blob = await keyOf('ours')
    const data = loginWith(blob, 'ssh-ed25519')
    const answer = fieldsOf(await ask(signRequest(blob, data)))
    expect(answer.byte()).toBe(MESSAGE.signResponse)
    const signature = fieldsOf(answer.string())
    expect(signature.string().toString()).toBe('ssh-ed25519')
    const x = blob.subarray(-32).toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    expect(verify(null, data, key, signature.string())).toBe(true)
    expect(signed).toEqual(['signed'])
  })

  test('signs with RSA in the way that was asked for', async () => {
    const blob = await keyOf('rsa')
    const rsaPath = join(folder, 'rsa.sock')
    const rsa = await openFilteredAgent({
      path: rsaPath,
      agentPath: hostPath,
      fingerprint: fingerprintOf(blob),
    })
    const data = loginWith(blob, 'rsa-sha2-512')
    const answer = fieldsOf(await askAgent(rsaPath, signRequest(blob, data, 4), 10_000))
    expect(answer.byte()).toBe(MESSAGE.signResponse)
    expect(fieldsOf(answer.string()).string().toString()).toBe('rsa-sha2-512')
    await rsa.close()
    expect(existsSync(rsaPath)).toBe(false)
  })

  test('signs nothing else: another key, a file, random bytes, flags that it does not know', async () => {
    const [ours, other] = [await keyOf('ours'), await keyOf('other')]
    const login = loginWith(ours, 'ssh-ed25519')
    const refused = [
      signRequest(other, loginWith(other, 'ssh-ed25519')),
      signRequest(other, login),
      signRequest(ours, loginWith(other, 'ssh-ed25519')),
      signRequest(ours, Buffer.from('SSHSIG')),
      signRequest(ours, Buffer.alloc(1024)),
      signRequest(ours, login, 1),
      framed(MESSAGE.signRequest, sshString(ours), sshString(login), uint32(0), Buffer.from('x')),
      framed(MESSAGE.signRequest, sshString(ours)),
    ]
    expect(await Promise.all(refused.map(ask))).toEqual(refused.map(() => FAILED))
    expect(signed).not.toContain('signed')
    const file = join(folder, 'file.txt')
    await writeFile(file, 'text')
    const sign = (socket: string) =>
      run('ssh-keygen', ['-Y', 'sign', '-n', 'file', '-f', join(folder, 'ours.pub'), file], {
        env: { ...process.env, SSH_AUTH_SOCK: socket, HOME: folder },
      })
    await rm(join(folder, 'ours'))
    await expect(sign(path)).rejects.toMatchObject({ code: 255 })
    await expect(sign(hostPath)).resolves.toMatchObject({
      stderr: expect.stringContaining('Write signature') as string,
    })
  })

  test('adds, removes and locks nothing, and knows no extension', async () => {
    for (const args of [['-D'], ['-d', join(folder, 'other.pub')], [join(folder, 'other')], ['-x']])
      await expect(
        run('ssh-add', args, {
          env: {
            ...process.env,
            SSH_AUTH_SOCK: path,
            SSH_ASKPASS: '/bin/true',
            SSH_ASKPASS_REQUIRE: 'force',
          },
        }),
      ).rejects.toThrow()
    const others = Array.from({ length: 256 }, (_, type) => type).filter((type) => type !== 11 && type !== 13)
    const answers = await Promise.all(
      others.slice(0, 40).map((type) => ask(framed(type, sshString(Buffer.from('query'))))),
    )
    expect(answers).toEqual(answers.map(() => FAILED))
    expect(await ask(framed(11, Buffer.from('x')))).toEqual(FAILED)
    expect((await sshAdd(hostPath, '-l')).stdout.trim().split('\n')).toHaveLength(3)
  })

  test('ends a connection that talks nonsense, and no other', async () => {
    const socket = connect(path)
    const closed = new Promise((resolve) => void socket.once('close', resolve))
    const quiet = connect(path)
    socket.write(Buffer.concat([uint32(MAX_MESSAGE_BYTES + 1), Buffer.alloc(1024)]))
    await closed
    expect(await listKeys(path, 10_000)).toHaveLength(1)
    quiet.write(framed(MESSAGE.requestIdentities).subarray(0, 3))
    quiet.end()
    expect(await listKeys(path, 10_000)).toHaveLength(1)
  })

  test('fails where the agent of the host is gone', async () => {
    const lonelyPath = join(folder, 'lonely.sock')
    const blob = await keyOf('ours')
    const lonely = await openFilteredAgent({
      path: lonelyPath,
      agentPath: join(folder, 'nobody.sock'),
      fingerprint: fingerprintOf(blob),
    })
    expect(await askAgent(lonelyPath, framed(MESSAGE.requestIdentities), 10_000)).toEqual(FAILED)
    expect(await askAgent(lonelyPath, signRequest(blob, loginWith(blob, 'ssh-ed25519')), 10_000)).toEqual(
      FAILED,
    )
    await lonely.close()
  })

  test('a grant is checked: whether the agent of this machine has its key', async () => {
    const key = fingerprintOf(await keyOf('ours'))
    expect(await check('ssh', { key }, { SSH_AUTH_SOCK: hostPath })).toMatchObject({ state: 'valid' })
    const strange = { key: `SHA256:${'a'.repeat(43)}` }
    expect(await check('ssh', strange, { SSH_AUTH_SOCK: hostPath })).toMatchObject({ state: 'invalid' })
    expect(await check('ssh', { key }, { SSH_AUTH_SOCK: join(folder, 'nobody.sock') })).toMatchObject({
      state: 'unknown',
    })
    expect(await check('ssh', { key }, {})).toMatchObject({ state: 'unknown' })
  })
})

describe('credentials of an AWS role', () => {
  const ROLE = 'arn:aws:iam::123456789012:role/deploy'
  const SECRET = 'canary-7f3a-aws-secret'
  let env: Record<string, string> = {}
  let calls = ''

  /** Writes down what it was asked, and answers as a file beside it says. */
  const PROGRAM = `#!${process.execPath}
const fs = require('node:fs')
fs.appendFileSync(${JSON.stringify('CALLS')}, JSON.stringify(process.argv.slice(2)) + '\\n')
fs.writeFileSync('PROCESS', JSON.stringify({ pid: process.pid, ours: process.env.CASTELLAN_MASTER_KEY, theirs: process.env.AWS_PROFILE }))
const { status = 0, stdout = '', stderr = '', flood = 0, hang = false } = JSON.parse(fs.readFileSync('ANSWER', 'utf8'))
fs.writeSync(1, stdout)
fs.writeSync(2, stderr)
if (hang) setInterval(() => {}, 1000)
else if (flood > 0) process.stdout.write('x'.repeat(flood), () => process.exit(0))
else process.exitCode = status
`
  const answer = (given: object): Promise<void> =>
    writeFile(join(folder, 'answer.json'), JSON.stringify(given))
  const asked = async (): Promise<readonly string[]> =>
    existsSync(calls) ? (await readFile(calls, 'utf8')).trim().split('\n') : []
  const credentials = (expiration: string): object => ({
    stdout: JSON.stringify({
      Credentials: {
        AccessKeyId: 'ASIAEXAMPLE',
        SecretAccessKey: SECRET,
        SessionToken: 'session',
        Expiration: expiration,
      },
    }),
  })

  beforeAll(async () => {
    calls = join(folder, 'calls.txt')
    const program = PROGRAM.replace('CALLS', calls)
      .replace('ANSWER', join(folder, 'answer.json'))
      .replace('PROCESS', join(folder, 'process.json'))
    await writeFile(join(folder, 'aws'), program)
    await chmod(join(folder, 'aws'), 0o755)
    env = { PATH: folder, HOME: folder }
  })
  afterEach(() => rm(calls, { force: true }))

  const settings = { role: ROLE, durationSeconds: 900, sessionName: 'castellan-test' }

  test('are asked for without a shell, each value in its option, and come as a credential_process prints them', async () => {
    await answer(credentials('2026-01-01T00:15:00Z'))
    const all = {
      shown: {
        role: ROLE,
        sessionDuration: '2h',
        region: 'eu-central-1',
        externalId: 'a b;$(x)',
        awsProfile: 'work',
      },
      secret: {},
    }
    const given = await assumeRole(roleSettings(all, 'castellan-run_1'), { env })
    expect(given.expiresAtMs).toBe(Date.parse('2026-01-01T00:15:00Z'))
    expect(JSON.parse(given.document.reveal())).toEqual({
      Version: 1,
      AccessKeyId: 'ASIAEXAMPLE',
      SecretAccessKey: SECRET,
      SessionToken: 'session',
      Expiration: '2026-01-01T00:15:00Z',
    })
    expect((await asked()).map((line) => JSON.parse(line) as unknown)).toEqual([
      [
        'sts',
        'assume-role',
        `--role-arn=${ROLE}`,
        '--role-session-name=castellan-run_1',
        '--duration-seconds=7200',
        '--external-id=a b;$(x)',
        '--profile=work',
        '--region=eu-central-1',
        '--output=json',
      ],
    ])
  })

  test('are kept until five minutes before their end, and asked for once however many want them', async () => {
    const start = Date.parse('2026-01-01T00:00:00Z')
    let now = start
    await answer(credentials('2026-01-01T00:15:00Z'))
    const clock = { nowMs: () => now, tickMs: () => now }
    const source = createRoleCredentials(settings, { tools: { env }, clock })
    const first = await Promise.all(Array.from({ length: 20 }, () => source.get()))
    expect(new Set(first).size).toBe(1)
    now = start + 9 * 60_000
    expect(await source.get()).toBe(first[0])
    expect(await asked()).toHaveLength(1)
    now = start + 10 * 60_000
    await answer(credentials('2026-01-01T00:25:00Z'))
    expect((await source.get()).expiresAtMs).toBe(start + 25 * 60_000)
    expect(await asked()).toHaveLength(2)
  })

  test('a failure is not kept', async () => {
    const source = createRoleCredentials(settings, {
      tools: { env },
      clock: { nowMs: () => 0, tickMs: () => 0 },
    })
    await answer({ status: 254, stderr: 'Unable to locate credentials' })
    await expect(source.get()).rejects.toThrow('no identity at AWS')
    await answer(credentials('2026-01-01T00:15:00Z'))
    await expect(source.get()).resolves.toBeDefined()
  })

  const DENIED = `An error occurred (AccessDenied) when calling the AssumeRole operation: User: ${SECRET} is not authorized`
  test.each<[string, object, string, RegExp]>([
    ['denied', { status: 254, stderr: DENIED }, 'invalid', /trust policy/],
    ['too long', { status: 254, stderr: `(ValidationError) ${SECRET}` }, 'invalid', /longest session/],
    ['no identity', { status: 253, stderr: 'Unable to locate credentials.' }, 'unknown', /aws sso login/],
    [
      'run out',
      { status: 254, stderr: `The security token is expired ${SECRET}` },
      'unknown',
      /aws sso login/,
    ],
    ['failed', { status: 1, stderr: SECRET }, 'unknown', /get-caller-identity/],
    ['nonsense', { stdout: `{"${SECRET}` }, 'unknown', /cannot be used/],
    ['an empty answer', { stdout: '{"Credentials":{}}' }, 'unknown', /cannot be used/],
    ['no date', credentials('soon'), 'unknown', /cannot be used/],
    ['a flood', { flood: 1_000_000 }, 'unknown', /too much/],
    ['as it should', credentials('2026-01-01T00:15:00Z'), 'valid', /may assume the role/],
  ])('a grant is checked: %s', async (_, given, state, sentence) => {
    await answer(given)
    const verdict = await check('aws', { role: ROLE }, env)
    expect(verdict).toEqual({ state, message: expect.stringMatching(sentence) as string })
    expect(verdict.message).not.toContain(SECRET)
    expect((await asked())[0]).toContain('castellan-check')
  })

  test('one that does not answer is ended, and knows no secret of ours', async () => {
    await answer({ hang: true })
    const given = { ...env, CASTELLAN_MASTER_KEY: SECRET, AWS_PROFILE: 'work' }
    await expect(assumeRole(settings, { env: given }, 2000)).rejects.toThrow('does not answer in time')
    const { pid, ...seen } = JSON.parse(await readFile(join(folder, 'process.json'), 'utf8')) as {
      pid: number
    }
    expect(seen).toEqual({ theirs: 'work' })
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 10_000)
  })

  test('without the command of AWS, that is said', async () => {
    const verdict = await check('aws', { role: ROLE }, { PATH: join(folder, 'nowhere') })
    expect(verdict).toMatchObject({
      state: 'unknown',
      message: expect.stringContaining('install the AWS CLI') as string,
    })
  })
})

describe('a daemon with provider files', () => {
  const SECRET = 'canary-7f3a-provider-secret'
  let home = ''
  let daemon: Daemon
  const ACME =
    'name: acme\ndescription: Of a test.\nhosts: [api.acme.invalid]\ninject: { header: X-Acme-Key }\n'
  const put = (file: string, text: string): Promise<void> => writeFile(join(home, 'providers', file), text)

  /** The answer, whatever its status. */
  async function ask(method: string, path: string, body?: object, credential?: string): Promise<Json> {
    const admin = (await readFile(join(home, 'admin-credential'), 'utf8')).trim()
    const response = await fetch(`${daemon.origin}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${credential ?? admin}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    expect(text).not.toContain(SECRET)
    return { status: response.status, ...(JSON.parse(text) as Json) }
  }

  beforeAll(async () => {
    home = await makeHome()
    await mkdir(join(home, 'providers'))
    await put('acme.yaml', `${ACME}validate: { url: "https://api.acme.invalid/me" }\n`)
    await put('gitlab.yaml', ACME.replace('acme', 'gitlab').replace('inject', 'injekt'))
    daemon = await startDaemon(home, 0, { env: { SSH_AUTH_SOCK: '' } })
  })
  afterAll(async () => {
    await daemon.stop()
    await removeHome(home)
  })

  test('lists what it knows, and what is wrong', async () => {
    const { items, problems } = (await ask('GET', 'grants/providers')) as unknown as DescribedProviders
    const acme = items.find(({ id }) => id === 'acme')
    expect(acme).toMatchObject({ from: 'file', origins: ['https://api.acme.invalid'], canBeTested: true })
    expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(['github', 'telegram']))
    expect(items.map(({ id }) => id)).not.toContain('gitlab')
    expect(problems).toEqual([
      'gitlab.yaml:4:1: field injekt is unknown; did you mean inject?',
      'gitlab.yaml:1:1: inject is required',
    ])
  })

  test('keeps a grant of a file, bound to its hosts, and tests it there and nowhere else', async () => {
    const kept = await ask('PUT', 'grants/acme', { values: { token: SECRET } })
    expect(kept).toMatchObject({ status: 200, origins: ['https://api.acme.invalid'] })
    const unreached = { state: 'unknown', message: 'acme cannot be reached; try again later' }
    expect(await ask('POST', 'grants/acme/test')).toMatchObject(unreached)
    await ask('POST', 'grants/acme/bind', { origins: ['https://other.invalid'] })
    const unbound = {
      state: 'unknown',
      message: 'acme would be asked at an origin that the grant is not bound to',
    }
    expect(await ask('POST', 'grants/acme/test')).toMatchObject(unbound)
    await put('acme.yaml', ACME.replace('invalid', 'test'))
    await ask('PUT', 'grants/acme', { values: { token: SECRET } })
    expect(await ask('GET', 'grants/acme')).toMatchObject({ origins: ['https://api.acme.test'] })
  })

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['acme', { token: `${SECRET}\r\nX-Other: 1` }, /values\.token: holds a space, a line break/],
    ['acme', { tokn: SECRET }, /values\.unknown field; did you mean token\?/],
    ['github', { token: SECRET }, /values\.token: is no GitHub token/],
    ['gitlab', { token: SECRET }, /gitlab\.yaml:4:1: field injekt is unknown/],
    ['npm:10.0.0.1', { token: SECRET }, /must be a host name/],
    ['aws', { role: SECRET }, /values\.role: must be the ARN of a role/],
  ])('refuses for %s what is not right: %#', async (name, values, sentence) => {
    const refused = await ask('PUT', `grants/${name}`, { values })
    expect(refused['status']).toBe(400)
    expect((refused['problems'] as readonly string[]).join()).toMatch(sentence)
  })

  test('lets no user have what uses the identity of its machine, but by who may give grants', async () => {
    await daemon.apply([{ kind: 'User', metadata: { name: 'ada' }, spec: {} }])
    const password = 'correct horse battery staple'
    await ask('POST', 'users/ada/password', { password })
    const { credential } = (await ask('POST', 'auth/login', { user: 'ada', password })) as {
      credential: string
    }
    const role = { values: { role: 'arn:aws:iam::123456789012:role/deploy' } }
    const own = { values: { token: SECRET }, for: 'me' }
    expect(await ask('PUT', 'grants/acme', own, credential)).toMatchObject({ status: 200 })
    const mine = Object.assign({ for: 'me' }, role)
    expect(await ask('PUT', 'grants/aws', mine, credential)).toMatchObject({ status: 403 })
    const hers = Object.assign({ for: 'user:ada' }, role)
    expect(await ask('PUT', 'grants/aws', hers)).toMatchObject({ status: 200 })
    const strange = { values: { key: `SHA256:${'a'.repeat(43)}` } }
    expect(await ask('PUT', 'grants/ssh:github.com', strange)).toMatchObject({ status: 200 })
    expect(await ask('POST', 'grants/ssh:github.com/test')).toMatchObject({ state: 'unknown' })
  })
})
