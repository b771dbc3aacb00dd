import type { z } from 'zod'
import { fieldsAt, type JsonSchema } from '../kind-schema.ts'
import { nearest } from '../../lib/nearest.ts'

type Issue = z.core.$ZodIssue

export interface Checked {
  /** Where the value stands in the manifest: `spec` or `metadata`. */
  readonly at: string
  readonly schema: JsonSchema
  readonly value: unknown
}

/** What zod found, as sentences that name fields and never values: `spec.env[0].value: must be text`. */
export const problemsOf = (issues: readonly Issue[], checked: Checked): readonly string[] =>
  issues.flatMap((issue) => sentences(issue, checked))

/** A name that a manifest may hold anywhere; others may be values in the wrong place, so they are not repeated. */
const isPlainName = (name: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/.test(name)

/** @param steps names and indexes: `spec`, `['env', 0, 'value']` → `spec.env[0].value` */
export function pathText(at: string, steps: readonly PropertyKey[]): string {
  let text = at
  for (const step of steps) {
    if (typeof step === 'number') text += `[${step}]`
    else {
      const name = isPlainName(String(step)) ? String(step) : '(a field)'
      text += text === '' ? name : `.${name}`
    }
  }
  return text === '' ? 'the manifest' : text
}

function sentences(issue: Issue, checked: Checked): readonly string[] {
  const path = pathText(checked.at, issue.path)
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField(key, issue, checked))
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => `${path}: the name ${inner.message}`)
  return [`${path}: ${complaint(issue, valueAt(checked.value, issue.path))}`]
}

/** Our fields are single words in letters; what looks otherwise, a digit in it, may be a value in the wrong place. */
export const shownField = (key: string): string => (/^[A-Za-z]{1,32}$/.test(key) ? key : '(a field)')

function unknownField(key: string, issue: Issue, { at, schema, value }: Checked): string {
  const known = fieldsAt(schema, issue.path, value)
  const meant = nearest(key, known)
  const path = `${pathText(at, issue.path)}.${shownField(key)}`
  if (meant !== undefined) return `${path}: unknown field; did you mean ${meant}?`
  return known.length === 0
    ? `${path}: unknown field`
    : `${path}: unknown field; here are ${[...new Set(known)].join(', ')}`
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value
  for (const step of path) {
    if (typeof inner !== 'object' || inner === null) return undefined
    inner = (inner as Record<PropertyKey, unknown>)[step]
  }
  return inner
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of fields',
  record: 'a mapping of names to values',
}

function complaint(issue: Issue, value: unknown): string {
  if (issue.code === 'custom') return issue.message
  if (value === undefined) return 'is required'
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be ${oneOf(issue.values)}`
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? `must be ${oneOf(issue.options)}`
        : 'is of none of the types that are taken here'
    case 'too_small':
      return `must ${size(issue.origin, 'at least', issue.minimum)}`
    case 'too_big':
      return `must ${size(issue.origin, 'at most', issue.maximum)}`
    case 'invalid_format':
      return format(issue)
    default:
      return issue.message
  }
}

const oneOf = (values: readonly unknown[]): string =>
  values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`

function size(origin: string, bound: string, limit: number | bigint): string {
  if (origin === 'string') return `have ${bound} ${limit} characters`
  return origin === 'array' ? `have ${bound} ${limit} entries` : `be ${bound} ${limit}`
}

/** Patterns bring their own sentence; zod's own formats have one that shows a pattern or nothing. */
function format(issue: Extract<Issue, { code: 'invalid_format' }>): string {
  if (issue.format === 'url') return 'must be a URL with http: or https:'
  if (issue.format === 'starts_with' && 'prefix' in issue) return `must begin with ${String(issue.prefix)}`
  return issue.message
}
