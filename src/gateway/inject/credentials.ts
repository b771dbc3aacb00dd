import type { HttpSpec, NamedValue, StdioSpec } from '../../kinds/server.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { isStandIn } from '../../lib/stand-in.ts'

/** Opens one sealed value, at the moment it is needed. */
export type OpenSecret = (secret: string, key: string) => SecretValue | undefined

/** The configured headers of a Server that is reached over HTTP as they go on the wire. A header whose secret is gone is left out. */
export function injectHeaders(spec: HttpSpec, open: OpenSecret): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const entry of spec.headers) {
    const value = valueOf(entry, open)
    if (value !== undefined)
      headers[entry.name.toLowerCase()] = typeof value === 'string' ? value : value.reveal()
  }
  return headers
}

/** The configured variables of a `stdio` Server; the values stay sealed from sight until the process is started. */
export function injectEnv(spec: StdioSpec, open: OpenSecret): Record<string, string | SecretValue> {
  const env: Record<string, string | SecretValue> = {}
  for (const entry of spec.env) {
    const value = valueOf(entry, open)
    if (value !== undefined) env[entry.name] = value
  }
  return env
}

/** Every secret that a Server is given, as it is kept. */
export const secretsIn = (spec: HttpSpec | StdioSpec, open: OpenSecret): SecretValue[] =>
  (spec.transport === 'stdio' ? spec.env : spec.headers).flatMap(({ valueFrom }) =>
    valueFrom === undefined ? [] : (open(valueFrom.secretRef.name, valueFrom.secretRef.key) ?? []),
  )

/** Secrets that the entries name and that are not there, as `name/key`. */
export const missingSecrets = (entries: readonly NamedValue[], open: OpenSecret): string[] =>
  entries.flatMap(({ valueFrom }) => {
    if (valueFrom === undefined) return []
    const { name, key } = valueFrom.secretRef
    return open(name, key) === undefined ? [`${name}/${key}`] : []
  })

/** Entries that would send what agents are given in place of a credential, by name. */
export const standIns = (entries: readonly NamedValue[], open: OpenSecret): string[] =>
  entries.flatMap((entry) => {
    const value = valueOf(entry, open)
    const text = value instanceof SecretValue ? value.reveal() : value
    return text !== undefined && isStandIn(text) ? [entry.name] : []
  })

function valueOf(entry: NamedValue, open: OpenSecret): string | SecretValue | undefined {
  if (entry.value !== undefined) return entry.value
  if (entry.valueFrom === undefined) return undefined
  const { secretRef, prefix } = entry.valueFrom
  const secret = open(secretRef.name, secretRef.key)
  if (secret === undefined || prefix === undefined) return secret
  return new SecretValue(prefix + secret.reveal())
}
