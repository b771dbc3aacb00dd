import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'
import { nearest } from '../../lib/nearest.ts'
import { alternatives, fieldsAt, specSchema, type JsonSchema } from '../kind-schema.ts'
import type { Stored } from '../stored.ts'

/** Which objects of a kind are meant. */
export type Selector = (stored: Stored) => boolean

/** Query parameters of every route that lists or watches, with what each is for. */
export const SELECTORS = {
  labelSelector:
    'Only with these labels: team=blue, env!=prod, env in (a,b), env notin (a,b), key, !key; comma: and.',
  fieldSelector:
    'Only with these values: metadata.name, metadata.project or a field of spec, with = or !=; comma: and.',
} as const

const MAX_LENGTH = 4096
const MAX_TERMS = 64

/** @throws Fault `invalid` that says which term cannot be read, and never repeats it */
export function readSelectors(definition: KindDefinition, query: Readonly<Record<string, string>>): Selector {
  const tests = [
    ...termsOf('labelSelector', query['labelSelector']).map(labelTest),
    ...termsOf('fieldSelector', query['fieldSelector']).map((term, i) => fieldTest(definition, term, i)),
  ]
  return (stored) => tests.every((test) => test(stored))
}

/** Comma-separated terms; a comma between parentheses belongs to its term. */
function termsOf(parameter: string, text: string | undefined): readonly string[] {
  if (text === undefined || text.trim() === '') return []
  const terms = text.length > MAX_LENGTH ? [] : text.split(/,(?![^()]*\))/).map((term) => term.trim())
  if (terms.length > 0 && terms.length <= MAX_TERMS) return terms
  throw new Fault('invalid', {
    problems: [`${parameter}: may have ${MAX_TERMS} terms and ${MAX_LENGTH} characters`],
  })
}

const KEY = '[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?'
const PRESENCE = new RegExp(`^(!?)\\s*(${KEY})$`)
const EQUALITY = new RegExp(`^(${KEY})\\s*(!=|==|=)\\s*([^,()=!]*)$`)
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`)

/** As kubectl reads them: what is not there differs from every value. */
function labelTest(term: string, index: number): Selector {
  const [presence, equality, set] = [PRESENCE.exec(term), EQUALITY.exec(term), SET.exec(term)]
  const valueOf = ({ resource }: Stored, key: string): string | undefined =>
    Object.hasOwn(resource.metadata.labels, key) ? resource.metadata.labels[key] : undefined
  if (presence !== null) {
    const [, not = '', key = ''] = presence
    return (stored) => (valueOf(stored, key) === undefined) === (not === '!')
  }
  if (equality !== null) {
    const [, key = '', operator, value] = equality
    return (stored) => (valueOf(stored, key) === value) === (operator !== '!=')
  }
  if (set !== null) {
    const [, key = '', operator, list = ''] = set
    const values = new Set<string | undefined>(list.split(',').map((value) => value.trim()))
    return (stored) => values.has(valueOf(stored, key)) === (operator === 'in')
  }
  throw new Fault('invalid', {
    problems: [
      `labelSelector: term ${index + 1} must be key=value, key!=value, key in (a,b), key notin (a,b), key or !key`,
    ],
  })
}

const FIELD = /^([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9_-]{1,128}){1,16})\s*(!=|==|=)\s*([^,]*)$/

function fieldTest(definition: KindDefinition, term: string, index: number): Selector {
  const [, field = '', operator, value] = FIELD.exec(term) ?? []
  const path = field.split('.')
  const problem = field === '' ? 'must be FIELD=VALUE or FIELD!=VALUE' : fieldProblem(definition, path)
  if (problem !== undefined)
    throw new Fault('invalid', {
      problems: [`fieldSelector: term ${index + 1} ${problem}`],
      hint: `castellan explain ${definition.plural} shows the fields`,
    })
  return (stored) => (scalarAt(stored, path) === value) === (operator !== '!=')
}

const METADATA: readonly string[] = ['metadata.name', 'metadata.project']

function fieldProblem(definition: KindDefinition, path: readonly string[]): string | undefined {
  const [root, ...rest] = path
  if (METADATA.includes(path.join('.'))) return undefined
  if (root !== 'spec')
    return `names a field that cannot be selected by; there are ${METADATA.join(', ')} and those of spec`
  const schema = specSchema(definition)
  if (isScalar(schema, rest)) return undefined
  const known = fieldsAt(schema, rest.slice(0, -1), undefined)
  const meant = nearest(rest.at(-1) ?? '', known)
  return `names no field with a single value${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** Whether a path of the schema leads to a text, a number or a truth value. */
function isScalar(schema: JsonSchema, [head, ...rest]: readonly string[]): boolean {
  return alternatives(schema).some((option) => {
    if (head === undefined)
      return (
        'const' in option || 'enum' in option || /^(?:string|number|integer|boolean)$/.test(option.type ?? '')
      )
    const more = option.additionalProperties
    const known = option.properties ?? {}
    const field = Object.hasOwn(known, head) ? known[head] : typeof more === 'object' ? more : undefined
    return field !== undefined && isScalar(field, rest)
  })
}

function scalarAt({ resource, project }: Stored, path: readonly string[]): string | undefined {
  if (path.join('.') === 'metadata.project') return project
  let value: unknown = resource
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[step]
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}
