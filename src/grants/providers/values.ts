import { nearest } from '../../lib/nearest.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { hostName, type Check } from './checks.ts'
import type { Field, GrantValues, Provider } from './define-provider.ts'
import { isStandIn } from '../../lib/stand-in.ts'

const MAX_VALUE_BYTES = 16 * 1024

/** A name that becomes part of a grant's id. */
const qualifierName: Check = (text) =>
  /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/.test(text)
    ? undefined
    : 'must be lowercase letters, digits, dots, dashes and underscores, at most 63 characters'

/**
 * What follows the colon of an id, checked.
 *
 * @returns the qualifier, `''` for a provider that has none; or one sentence
 */
export function readQualifier(provider: Provider, given: string | undefined): Result<string, string> {
  const { id, qualifier } = provider
  if (qualifier === undefined)
    return given === undefined ? ok('') : err(`${id} stands alone: there is nothing after a colon`)
  const text = given ?? qualifier.default
  if (text === undefined)
    return err(`write ${id}:${qualifier.name.toUpperCase()}, such as ${id}:${qualifier.example}`)
  const problem = (qualifier.name === 'host' ? hostName : qualifierName)(text)
  return problem === undefined ? ok(text) : err(`what follows ${id}: ${problem}`)
}

/**
 * What was given for a grant, checked against its provider: all problems at once, none repeats a value.
 *
 * @param given field → text
 * @param options `force` takes a value that does not look like one of this provider; nothing else is forgiven
 */
export function readValues(
  provider: Provider,
  given: Readonly<Record<string, unknown>>,
  options: { readonly force?: boolean } = {},
): Result<GrantValues, readonly string[]> {
  const known = provider.fields.map(({ name }) => name)
  const problems = Object.keys(given)
    .filter((name) => !known.includes(name))
    .map((name) => unknownField(name, known))
  const shown: Record<string, string> = {}
  const secret: Record<string, SecretValue> = {}
  for (const field of provider.fields) {
    const value = given[field.name]
    const problem = fieldProblem(field, value, provider, options.force === true)
    if (problem !== undefined) problems.push(`${field.name}: ${problem}`)
    else if (typeof value !== 'string') continue
    else if (field.secret) secret[field.name] = new SecretValue(value)
    else shown[field.name] = value
  }
  const chosen = provider.oneOf.filter((name) => given[name] !== undefined)
  if (provider.oneOf.length > 0 && chosen.length !== 1)
    problems.push(`give exactly one of ${provider.oneOf.join(', ')}`)
  return problems.length > 0 ? err(problems) : ok({ shown, secret })
}

function unknownField(name: string, known: readonly string[]): string {
  const meant = nearest(name, known)
  return meant === undefined
    ? `unknown field; here are ${known.join(', ')}`
    : `unknown field; did you mean ${meant}?`
}

function fieldProblem(field: Field, value: unknown, provider: Provider, force: boolean): string | undefined {
  if (value === undefined) return field.optional ? undefined : 'is required'
  if (typeof value !== 'string') return 'must be text'
  if (value === '') return 'is empty'
  if (Buffer.byteLength(value) > MAX_VALUE_BYTES) return 'is longer than 16 KiB'
  const unsafe = field.secret ? secretProblem(field, value, provider) : shownProblem(value)
  if (unsafe !== undefined) return unsafe
  return force || field.shape === undefined || field.shape.pattern.test(value) ? undefined : field.shape.hint
}

/** What is sent in a header may hold no line break, whoever gave it; what is sent in a path may not leave its segment. */
function secretProblem({ name }: Field, value: string, { injections }: Provider): string | undefined {
  if (/^(?:bearer|basic|token) /i.test(value)) return 'give the credential alone, without the word before it'
  if (!/^[\u0021-\u007e]+$/.test(value))
    return 'holds a space, a line break or another character that cannot be sent; give the credential alone'
  if (isStandIn(value)) return 'is a stand-in that agents are given, not a credential'
  const inPath = injections.some(({ field, place }) => field === name && place.in === 'segment')
  return inPath && (!/^[\w.~:@!$&'()*+,;=-]+$/.test(value) || /^\.+$/.test(value))
    ? 'holds a character that cannot stand in a segment of a path'
    : undefined
}

const shownProblem = (value: string): string | undefined =>
  /^[\u0020-\u007e]+$/.test(value) && !value.startsWith('-')
    ? undefined
    : 'must be printable ASCII characters, no dash first'
