import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'
import { alternatives, manifestSchema, type JsonSchema } from '../kind-schema.ts'
import { nearest } from '../../lib/nearest.ts'

/**
 * A kind, or one of its fields, for reading: type, whether required, default and purpose of each field.
 *
 * @param path `spec.env`, `spec.timeouts.callSeconds`; of a list the fields of an entry
 * @throws Fault `not_found` when there is no field by that path
 */
export async function renderExplanation(definition: KindDefinition, path: string): Promise<string> {
  const steps = path.split('.').filter((step) => step !== '')
  const root = manifestSchema(definition)
  const found = steps.reduce<readonly JsonSchema[]>(
    (schemas, step) => schemas.flatMap((schema) => stepInto(schema, step)),
    [root],
  )
  if (found.length === 0) throw noSuchField(root, steps)
  const head = [
    `KIND:     ${definition.kind}  (${[definition.plural, ...definition.short].join(', ')})`,
    `VERSION:  castellan/v1`,
    `SCOPE:    ${definition.scope === 'project' ? 'a project' : 'global'}`,
  ]
  if (steps.length > 0)
    head.push(`FIELD:    ${steps.join('.')} <${unique(found.map(typeText)).join(' or ')}>`)
  const purpose = unique(found.flatMap(({ description }) => (description === undefined ? [] : [description])))
  const shown = steps.length === 0 ? specOf(root) : found
  const fields = unique(shown.flatMap((schema) => fieldSections(schema)))
  const sections = [head.join('\n'), purpose.join('\n'), ...fields]
  if (steps.length === 0) sections.push(await exampleText(definition))
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)]

const specOf = (root: JsonSchema): readonly JsonSchema[] => {
  const spec = root.properties?.['spec']
  return spec === undefined ? [] : [spec]
}

function stepInto(schema: JsonSchema, step: string): readonly JsonSchema[] {
  const inner = schema.items ?? schema
  const name = step.replace(/\[\d*\]$/, '')
  return alternatives(inner).flatMap((option) => {
    const field =
      option.properties?.[name] ??
      (typeof option.additionalProperties === 'object' ? option.additionalProperties : undefined)
    return field === undefined ? [] : [field]
  })
}

function noSuchField(root: JsonSchema, steps: readonly string[]): Fault {
  let schemas: readonly JsonSchema[] = [root]
  for (const step of steps) {
    const next = schemas.flatMap((schema) => stepInto(schema, step))
    if (next.length === 0) {
      const known = unique(
        schemas
          .flatMap((schema) => alternatives(schema.items ?? schema))
          .flatMap(({ properties }) => Object.keys(properties ?? {})),
      )
      const meant = nearest(step, known)
      const hint = meant === undefined ? `the fields here are ${known.join(', ')}` : `did you mean ${meant}?`
      return new Fault('not_found', {
        hint: known.length === 0 ? 'there are no fields below this one' : hint,
      })
    }
    schemas = next
  }
  return new Fault('not_found')
}

/** `text`, `list of text`, `one of a, b` … */
function typeText(schema: JsonSchema): string {
  if (schema.const !== undefined) return wordOf(schema.const)
  if (schema.enum !== undefined) return schema.enum.join(' | ')
  const options = schema.oneOf ?? schema.anyOf
  if (options !== undefined) return unique(options.map(typeText)).join(' or ')
  if (schema.type === 'array')
    return schema.items === undefined ? 'list' : `list of ${typeText(schema.items)}`
  if (schema.type === 'object') {
    return schema.properties === undefined && typeof schema.additionalProperties === 'object'
      ? `map to ${typeText(schema.additionalProperties)}`
      : 'object'
  }
  return schema.type ?? 'any'
}

/** One block of fields; of a union one for each alternative. */
function fieldSections(schema: JsonSchema): readonly string[] {
  const inner = schema.items ?? schema
  const options = alternatives(inner).filter(({ properties }) => properties !== undefined)
  return options.map((option) => {
    const which =
      options.length > 1
        ? Object.entries(option.properties ?? {}).find(([, { const: only }]) => only !== undefined)
        : undefined
    const title = which === undefined ? 'FIELDS' : `FIELDS with ${which[0]}: ${wordOf(which[1].const)}`
    return [
      title,
      ...Object.entries(option.properties ?? {}).map(([name, field]) => fieldText(name, field, option)),
    ].join('\n')
  })
}

function fieldText(name: string, field: JsonSchema, parent: JsonSchema): string {
  const notes = [
    parent.required?.includes(name) === true && field.default === undefined ? 'required' : '',
    field.default === undefined || isEmptyObject(field.default)
      ? ''
      : `default ${JSON.stringify(field.default)}`,
  ].filter((note) => note !== '')
  const head = `  ${name} <${typeText(field)}>${notes.length === 0 ? '' : `  ${notes.join(', ')}`}`
  return field.description === undefined ? head : `${head}\n      ${field.description}`
}

const isEmptyObject = (value: unknown): boolean => JSON.stringify(value) === '{}'

async function exampleText(definition: KindDefinition): Promise<string> {
  const { stringify } = await import('yaml')
  const manifest = {
    apiVersion: 'castellan/v1',
    kind: definition.kind,
    metadata: { name: 'example', ...(definition.scope === 'project' ? { project: 'demo' } : {}) },
    spec: definition.example,
  }
  const lines = stringify(manifest, { lineWidth: 0 }).trimEnd().split('\n')
  return ['EXAMPLE', ...lines.map((line) => `  ${line}`)].join('\n')
}

const wordOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
