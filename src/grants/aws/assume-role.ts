import { spawn } from 'node:child_process'
import { SecretValue } from '../../lib/secret-value.ts'
import type { HostTools } from '../providers/define-provider.ts'

/** Which role, and how: checked when the grant was stored. */
export interface RoleSettings {
  readonly role: string
  readonly durationSeconds: number
  readonly region?: string | undefined
  readonly externalId?: string | undefined
  readonly profile?: string | undefined
  /** Who it is for, in the trail of AWS: 2 to 64 characters of `[\w+=,.@-]`. */
  readonly sessionName: string
}

/** What AWS has given for a while. */
export interface RoleCredentials {
  /** What a `credential_process` prints: one JSON document of version 1. */
  readonly document: SecretValue
  readonly expiresAtMs: number
}

/** Why there are no credentials; the message is public, and names neither role nor account. */
export class AwsRefusal extends Error {
  override readonly name = 'AwsRefusal'
  /** `role`: AWS refuses it. `host`: this machine cannot ask. */
  readonly about: 'role' | 'host'

  constructor(about: 'role' | 'host', message: string) {
    super(message)
    this.about = about
  }
}

const TIMEOUT_MS = 30_000
const MAX_OUTPUT_BYTES = 64 * 1024

/** `=` keeps each value in its option, whatever it begins with. */
const argvOf = (settings: RoleSettings): readonly string[] => [
  'sts',
  'assume-role',
  `--role-arn=${settings.role}`,
  `--role-session-name=${settings.sessionName}`,
  `--duration-seconds=${settings.durationSeconds}`,
  ...(settings.externalId === undefined ? [] : [`--external-id=${settings.externalId}`]),
  ...(settings.profile === undefined ? [] : [`--profile=${settings.profile}`]),
  ...(settings.region === undefined ? [] : [`--region=${settings.region}`]),
  '--output=json',
]

/**
 * Asks AWS through the `aws` command of this machine, without a shell: its own chain of credentials (environment,
 * profiles, SSO, instance role) says who asks.
 *
 * @throws AwsRefusal
 */
export async function assumeRole(
  settings: RoleSettings,
  { env }: HostTools,
  timeoutMs = TIMEOUT_MS,
): Promise<RoleCredentials> {
  const ended = await run(argvOf(settings), environmentOf(env), timeoutMs)
  if (ended.status !== 0) throw refusalOf(ended.stderr)
  const credentials = readAnswer(ended.stdout)
  if (credentials === undefined)
    throw new AwsRefusal('host', 'the aws command gave an answer that cannot be used')
  return credentials
}

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Of our variables one may hold the master key. A pager would wait for somebody. */
const environmentOf = (env: HostTools['env']): HostTools['env'] => ({
  ...Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CASTELLAN_'))),
  AWS_PAGER: '',
})

async function run(argv: readonly string[], env: HostTools['env'], timeoutMs: number): Promise<Ended> {
  const done = Promise.withResolvers<Ended>()
  // A group of its own: the command is often a script that starts another program.
  const child = spawn('aws', argv, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const end = (why: AwsRefusal): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
    done.reject(why)
  }
  const late = setTimeout(
    () => end(new AwsRefusal('host', 'the aws command does not answer in time')),
    timeoutMs,
  )
  const stdout = collect(child.stdout, () => end(new AwsRefusal('host', 'the aws command says too much')))
  const stderr = collect(child.stderr, () => end(new AwsRefusal('host', 'the aws command says too much')))
  child.once('error', () =>
    done.reject(
      new AwsRefusal('host', 'the aws command is not in the PATH of the daemon: install the AWS CLI'),
    ),
  )
  child.once('close', (status) => done.resolve({ status, stdout: stdout(), stderr: stderr() }))
  try {
    return await done.promise
  } finally {
    clearTimeout(late)
  }
}

function collect(stream: NodeJS.ReadableStream, tooMuch: () => void): () => string {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_OUTPUT_BYTES) chunks.push(chunk)
    else tooMuch()
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

/** Only what kind of refusal it is: the rest names accounts and roles. */
function refusalOf(stderr: string): AwsRefusal {
  if (/\b(?:AccessDenied|AccessDeniedException)\b/.test(stderr))
    return new AwsRefusal(
      'role',
      'AWS refuses the role to this machine: look at its trust policy and the external id',
    )
  if (/\b(?:ValidationError|MalformedPolicyDocument)\b/.test(stderr))
    return new AwsRefusal('role', 'AWS refuses the request: look at the longest session that the role allows')
  if (/expired|Unable to locate credentials|sso login|Token has expired|could not be found/i.test(stderr))
    return new AwsRefusal(
      'host',
      'this machine has no identity at AWS: run aws sso login or aws configure on it',
    )
  return new AwsRefusal(
    'host',
    'the aws command failed: try aws sts get-caller-identity where the daemon runs',
  )
}

const NAMES = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'] as const

function readAnswer(text: string): RoleCredentials | undefined {
  const answer = parse(text)
  const found = isObject(answer) ? answer['Credentials'] : undefined
  if (!isObject(found)) return undefined
  const [AccessKeyId, SecretAccessKey, SessionToken, Expiration] = NAMES.map((name) => found[name])
  const values = [AccessKeyId, SecretAccessKey, SessionToken, Expiration]
  if (!values.every((value) => typeof value === 'string' && value !== '')) return undefined
  const expiresAtMs = Date.parse(String(Expiration))
  if (Number.isNaN(expiresAtMs)) return undefined
  const document = { Version: 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration }
  return { document: new SecretValue(JSON.stringify(document)), expiresAtMs }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Its message would quote what may hold a key.
    return undefined
  }
}
