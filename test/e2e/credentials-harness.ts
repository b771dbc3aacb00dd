import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { BIN, type Daemon } from '../fixtures/daemon.ts'
import { signInAtProvider } from '../fixtures/oidc-provider.ts'
import type { WhoAmI } from '../fixtures/resource-provider-server.ts'
import { at, modernCaller, until, type Access, type Json } from './gateway-harness.ts'
import { cleanEnv } from './system-harness.ts'

/** How `castellan grant oauth` goes when somebody types it. */
export interface Typed {
  /** The address for the browser. */
  readonly url: string
  /** Its end: exit status, and what it said to the person. */
  readonly ended: Promise<{ readonly status: number | null; readonly errors: string }>
}

/** The real command, against a daemon, as far as the address that it prints. */
export async function typeGrant(daemon: Pick<Daemon, 'home'>, args: readonly string[]): Promise<Typed> {
  const child = spawn(process.execPath, [BIN, 'grant', 'oauth', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnv(), CASTELLAN_HOME: daemon.home },
  })
  const errors = text(child.stderr)
  const exited = once(child, 'close') as Promise<[number | null]>
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk))
  const url = await until('the address', async () => {
    if (child.exitCode !== null) throw new Error(await errors)
    return printed.endsWith('\n') ? printed.trim() : undefined
  })
  return { url, ended: exited.then(async ([status]) => ({ status, errors: await errors })) }
}

/** Connects the Server of that name for a person, from the command to its end. */
export async function authorize(
  daemon: Pick<Daemon, 'home'>,
  server: string,
  subject = 'ada',
  args: readonly string[] = [],
): Promise<void> {
  const { url, ended } = await typeGrant(daemon, [server, '--server', server, ...args])
  const answer = await fetch(await signInAtProvider(url, subject))
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('is authorized')])
  expect(await ended).toMatchObject({ status: 0 })
}

/** Who the server thinks is calling; else what the call was answered with. */
export type Who = WhoAmI | string

export async function whoami(access: Access, tool = 'whoami'): Promise<Who> {
  const { reply, text: raw } = await modernCaller(access).ask('tools/call', { name: tool, arguments: {} })
  const said = at(reply, 'result.content.0.text')
  if (typeof said !== 'string' || at(reply, 'result.isError') === true) return raw
  return JSON.parse(said) as WhoAmI
}

/** As many calls at once as the access points say, in turn: what each was answered. */
export const allAtOnce = (count: number, ...accesses: readonly Access[]): Promise<Who[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => whoami(accesses[i % accesses.length] as Access)))

/** Those of the answers that are no good call of this person. */
export const failed = (answers: readonly Who[], subject = 'ada'): Who[] =>
  answers.filter((who) => typeof who === 'string' || who.subject !== subject)

export async function grantOf(daemon: Daemon, name: string): Promise<Json> {
  const { items } = (await daemon.call('GET', '/api/v1/grants')) as { readonly items: readonly Json[] }
  const found = items.find((one) => one['name'] === name)
  if (found === undefined) throw new Error(`there is no grant ${name}`)
  return found
}
