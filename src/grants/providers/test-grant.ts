import type { GrantValues, HostTools, Provider, Validation, Verdict } from './define-provider.ts'
import { withHost } from './define-provider.ts'
import { putInPlace } from './place.ts'

/** Sends one request, bounded in time and size, along no redirect, to addresses that may be asked. */
export interface Sender {
  send(
    url: string,
    init: {
      readonly method: string
      readonly headers: Readonly<Record<string, string>>
      readonly body?: string | undefined
    },
    timeoutMs: number,
  ): Promise<{ readonly status: number }>
}

/** A grant, as far as a test needs it. */
export interface TestedGrant {
  readonly provider: Provider
  readonly qualifier: string
  readonly values: GrantValues
  /** Whether its credential may be sent there: what its origins say. */
  readonly allows: (url: string) => boolean
}

const TIMEOUT_MS = 10_000

/**
 * Asks the provider whether a credential works, by a call that changes nothing and only where the grant may go.
 * Nothing is thrown for what a provider or a network does; the sentence names neither the credential nor an answer.
 */
export async function testGrant(
  grant: TestedGrant,
  deps: { readonly sender: Sender; readonly tools: HostTools },
): Promise<Verdict> {
  const { provider, qualifier, values } = grant
  if (provider.check !== undefined) return await provider.check(values, qualifier, deps.tools)
  const calls = provider.validations.filter(({ field }) => values.secret[field] !== undefined)
  if (calls.length === 0) return unknown(`${provider.title} has no call that would tell`)
  const verdicts: Verdict[] = []
  for (const call of calls) {
    const verdict = await ask(call, grant, deps.sender)
    if (verdict.state === 'valid') return verdict
    verdicts.push(verdict)
  }
  return verdicts.find(({ state }) => state === 'unknown') ?? verdicts[0] ?? unknown('nothing was asked')
}

const unknown = (message: string): Verdict => ({ state: 'unknown', message })

async function ask(call: Validation, grant: TestedGrant, sender: Sender): Promise<Verdict> {
  const { title } = grant.provider
  const value = grant.values.secret[call.field]
  const url = withHost(call.url, grant.qualifier)
  if (value === undefined || !grant.allows(url.replace('{segment}', '-')))
    return unknown(`${title} would be asked at an origin that the grant is not bound to`)
  const { headers, segment } = putInPlace(call.place, value)
  const init = {
    method: call.method,
    headers: { accept: 'application/json', ...call.headers, ...headers },
    body: call.body,
  }
  const status = await statusOf(
    sender,
    segment === undefined ? url : url.replace('{segment}', () => segment),
    init,
  )
  if (status === undefined) return unknown(`${title} cannot be reached; try again later`)
  if (call.valid.includes(status)) return { state: 'valid', message: `${title} accepts it` }
  if (call.invalid.includes(status))
    return { state: 'invalid', message: `${title} refuses it: give another one` }
  return unknown(`${title} answers with status ${status}, which tells nothing`)
}

/** Why it failed may name the address, and with it a credential that stands in its path: it is not kept. */
async function statusOf(
  sender: Sender,
  url: string,
  init: Parameters<Sender['send']>[1],
): Promise<number | undefined> {
  try {
    return (await sender.send(url, init, TIMEOUT_MS)).status
  } catch {
    return undefined
  }
}
