import { callApi, jsonBody } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { unavailable } from '../failure.ts'
import type { Target } from '../target.ts'
import type { Acquired } from './form.ts'
import { holderWords, type HolderQuery } from './holder-options.ts'
import { testGrant } from './test-grant.ts'

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

/**
 * Hands a grant to the daemon, which keeps it sealed, and has it tested.
 *
 * @throws CliFailure when it is refused; after it was kept, when the provider does not take it
 */
export async function giveGrant(
  target: Target,
  grant: NewGrant,
  given: { readonly context: CliContext; readonly test: boolean; readonly json: boolean },
): Promise<void> {
  const { context, test, json } = given
  const { name, acquired, holder, server, origins, force } = grant
  const values = Object.fromEntries([...acquired.values].map(([field, value]) => [field, value.reveal()]))
  const about = { server, origins, profile: holder.profile, for: holder.for, expiresAt: acquired.expiresAt }
  const body = jsonBody(Object.assign({ values, source: acquired.source, force: force || undefined }, about))
  const answer = await callApi(target, ['grants', name], { method: 'PUT', body })
  if (!json) printLines(context.stdout, [`${name} stored`])
  const verdict = test ? await testGrant(target, name, holder) : undefined
  if (json)
    printLines(context.stdout, [
      JSON.stringify(Object.assign(JSON.parse(answer), { test: verdict }), null, 2),
    ])
  if (verdict === undefined) return
  if (verdict.state === 'invalid')
    throw unavailable(
      `it is stored, and it does not work: ${verdict.message}`,
      `give another with the same command, or: castellan revoke ${name}${holderWords(holder)}`,
    )
  if (!json)
    printLines(context.stderr, [
      `${verdict.state === 'valid' ? 'tested' : 'not known whether it works'}: ${verdict.message}`,
    ])
}
