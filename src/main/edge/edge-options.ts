import { resolve } from 'node:path'
import type { CliContext } from '../../cli/context.ts'
import { usage } from '../../cli/failure.ts'
import { MAX_NEGATIVE_MS, MAX_POSITIVE_MS, type HoldTimes } from '../../edge/caller.ts'

/** What makes a daemon an edge: whose callers it serves, and what it may keep. */
export interface EdgeOptions {
  readonly control: URL
  readonly times: HoldTimes
  /** Absolute path; undefined: it keeps nothing. */
  readonly home: string | undefined
}

export const ROLES = ['all', 'gateway'] as const
export type Role = (typeof ROLES)[number]

/** As given by option or variable; `undefined`: not given. */
export interface GivenEdge {
  readonly role: Role | undefined
  readonly control: string | undefined
  readonly home: string | undefined
  /** Options and variables that are given and that only a daemon with a configuration of its own has a use for. */
  readonly foreign: readonly string[]
}

/**
 * @returns undefined for a daemon that is no edge
 * @throws CliFailure `invalid`
 */
export function readEdgeOptions(
  { role, control, home, foreign }: GivenEdge,
  { env, cwd }: Pick<CliContext, 'env' | 'cwd'>,
): EdgeOptions | undefined {
  if (role !== 'gateway') {
    if (control === undefined) return undefined
    throw usage(
      'a control plane is named, and the role is not gateway',
      'write: castellan up --role gateway --control URL',
    )
  }
  if (control === undefined)
    throw usage(
      'an edge gateway needs the address of its control plane',
      'write: castellan up --role gateway --control https://castellan.example.com, or set CASTELLAN_CONTROL_URL',
    )
  const [first] = foreign
  if (first !== undefined)
    throw usage(
      `an edge gateway has no configuration of its own, so ${first} means nothing for it`,
      'leave it out, or give it to the control plane',
    )
  return {
    control: readControl(control),
    home: home === undefined || home === '' ? undefined : resolve(cwd, home),
    times: {
      positiveMs: readTime(env, 'CASTELLAN_TOKEN_POSITIVE_TTL_MS', MAX_POSITIVE_MS),
      negativeMs: readTime(env, 'CASTELLAN_TOKEN_NEGATIVE_TTL_MS', MAX_NEGATIVE_MS),
    },
  }
}

function readControl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw usage(
      'the address of the control plane is not an http or https address',
      'write it as https://castellan.example.com',
    )
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw usage(
      'the address of the control plane has more than a host, a port and a path',
      'an edge needs no credential: leave out whatever is one, and the query',
    )
  return url
}

/** Downwards only: what is documented as the longest time is that. */
function readTime(
  env: CliContext['env'],
  name: 'CASTELLAN_TOKEN_POSITIVE_TTL_MS' | 'CASTELLAN_TOKEN_NEGATIVE_TTL_MS',
  maxMs: number,
): number {
  const text = env[name]
  if (text === undefined || text === '') return maxMs
  const ms = Number(text)
  if (/^\d{1,6}$/.test(text) && ms <= maxMs) return ms
  throw usage(
    `${name} is not a number of milliseconds up to ${maxMs}`,
    `it can be made shorter, not longer: set it to at most ${maxMs}, or leave it out`,
  )
}
