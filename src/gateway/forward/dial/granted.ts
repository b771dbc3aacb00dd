import type { Dispatcher } from 'undici'
import type { SecretValue } from '../../../lib/secret-value.ts'
import { createJsonRedactor } from '../../../secrets/redact.ts'
import { secretsIn, type OpenSecret } from '../../inject/credentials.ts'
import { grantUse, type GrantSource, type GrantUse } from '../../inject/grants.ts'
import type { InjectionRecord } from '../../record/injections.ts'
import type { ServerView } from '../../snapshot.ts'
import { FirstSends } from './first-sends.ts'
import { withGrant } from './with-grant.ts'
import type { Redact } from './without-secrets.ts'

interface Dispatchers {
  readonly calls: Dispatcher
  readonly streams: Dispatcher
}

/** The ways to a Server's origin, with its grant put into whatever takes them. */
export function granted(
  { calls, streams }: Dispatchers,
  use: GrantUse | undefined,
  record: InjectionRecord,
): Dispatchers {
  if (use === undefined) return { calls, streams }
  const grant = withGrant(use, new FirstSends(use.injection, record))
  return { calls: calls.compose(grant), streams: streams.compose(grant) }
}

/** What the server was given may not come back from it. The token of a grant is another after each refresh. */
export function redactorFor(
  deps: { readonly openSecret: OpenSecret; readonly grants: GrantSource },
  server: ServerView,
): Redact | undefined {
  const { spec } = server
  const fixed = secretsIn(spec, deps.openSecret)
  const use = spec.transport === 'stdio' ? undefined : grantUse(deps.grants, server, spec)
  if (use === undefined) return createJsonRedactor(fixed)
  let known: SecretValue | undefined
  let redact = createJsonRedactor(fixed)
  return (json) => {
    const token = use.source.current(use.grant, use.purpose.origin)
    if (token !== undefined && token !== known) {
      // What was sent a moment before its end may come back a moment after.
      redact = createJsonRedactor([...fixed, token, ...(known === undefined ? [] : [known])])
      known = token
    }
    return redact?.(json) ?? json
  }
}
