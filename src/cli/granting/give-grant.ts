import { callApi, jsonBody } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { unavailable } from '../failure.ts'
import { warnIfNotEncrypted } from '../not-encrypted.ts'
import type { Target } from '../target.ts'
import type { Acquired } from './form.ts'
import { holderWords, type HolderQuery } from './holder-options.ts'
import { testGrant, type Verdict } from './test-grant.ts'

/** A grant, and where it is to be kept. */
export interface NewGrant {
  readonly name: string
  readonly acquired: Acquired
  readonly holder: HolderQuery
  readonly server?: string | undefined
  /** Where alone it may be sent; undefined: as its provider or its server says. */
  readonly origins?: readonly string[] | undefined
  /** Take a value that does not look like one of this provider. */
  readonly force: boolean
}

/** What the daemon answers. */
export interface Kept {
  /** Servers that name this grant. */
  readonly usedBy: readonly string[]
}

/**
 * Hands a grant to the daemon, which keeps it sealed, and has it tested.
 *
 * @throws CliFailure when it is refused; after it was kept, when the provider does not take it
 */
export async function giveGrant(
  target: Target,
  grant: NewGrant,
  given: { readonly context: CliContext; readonly test: boolean; readonly json: boolean },
): Promise<Kept> {
  const { context, test, json } = given
  warnIfNotEncrypted(target, context)
  const { name, acquired, holder, server, origins, force } = grant
  const values = Object.fromEntries([...acquired.values].map(([field, value]) => [field, value.reveal()]))
  const about = { server, origins, profile: holder.profile, for: holder.for, expiresAt: acquired.expiresAt }
  const body = jsonBody(Object.assign({ values, source: acquired.source, force: force || undefined }, about))
  const kept = JSON.parse(await callApi(target, ['grants', name], { method: 'PUT', body })) as Kept
  if (!json) printLines(context.stdout, [`${name} stored`])
  const verdict = test ? await testGrant(target, name, holder) : undefined
  if (json) printLines(context.stdout, [JSON.stringify(Object.assign({ test: verdict }, kept), null, 2)])
  if (verdict?.state === 'invalid')
    throw unavailable(
      `it is stored, and it does not work: ${verdict.message}`,
      `give another with the same command, or: castellan revoke ${name}${holderWords(holder)}`,
    )
  if (verdict !== undefined && !json) printLines(context.stderr, [lineOf(verdict)])
  return kept
}

const lineOf = ({ state, message }: Verdict): string =>
  `${state === 'valid' ? 'tested' : 'not known whether it works'}: ${message}`
