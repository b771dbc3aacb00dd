import type * as Yaml from 'yaml'
import { nearest } from '../../lib/nearest.ts'
import type { Check } from './checks.ts'

/** What a value of a file has to be. */
export type Shape =
  | { readonly is: 'text'; readonly max: number; readonly check?: Check }
  | { readonly is: 'status' }
  | { readonly is: 'list'; readonly max: number; readonly of: Shape }
  | { readonly is: 'fields'; readonly fields: Readonly<Record<string, FieldShape>> }

export type FieldShape = Shape & { readonly required?: true }

/** A file that was read strictly: a value of that shape, or every problem with its place. */
export interface StrictlyRead {
  readonly value: unknown
  /** `gitlab.yaml:9:5: unknown field …`; sentences name fields, never values. */
  readonly problems: readonly string[]
}

const MAX_PROBLEMS = 20

const SYNTAX: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'the same field is given twice',
  TAB_AS_INDENT: 'indent with spaces, not with a tab',
  BAD_INDENT: 'the indentation does not fit',
  MULTIPLE_DOCS: 'a file holds one document',
  TAG_RESOLVE_FAILED: 'tags are not taken here',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  MISSING_CHAR: 'a character such as a quote, bracket or colon is missing',
}

/**
 * YAML 1.2 core of one document, without anchors, aliases and tags, in exactly this shape.
 *
 * @param file what stands before the line in a problem
 */
export async function readStrictly(text: string, shape: Shape, file: string): Promise<StrictlyRead> {
  // Loaded on first use: most daemons have no such file.
  const yaml = await import('yaml')
  const reader: Reader = { yaml, file, lines: new yaml.LineCounter(), problems: [] }
  try {
    const options = { lineCounter: reader.lines, logLevel: 'error', prettyErrors: false } as const
    const document = yaml.parseDocument(text, options)
    for (const { code, pos } of [...document.errors, ...document.warnings])
      complain({ reader, path: '', at: pos[0] }, SYNTAX[code] ?? 'is not valid YAML')
    const value =
      reader.problems.length === 0 ? read(document.contents, shape, { reader, path: '', at: 0 }) : undefined
    return { value, problems: reader.problems.slice(0, MAX_PROBLEMS) }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // Beyond the stack.
    return { value: undefined, problems: [`${file}:1:1: is nested too deeply`] }
  }
}

interface Reader {
  readonly yaml: typeof Yaml
  readonly file: string
  readonly lines: Yaml.LineCounter
  readonly problems: string[]
}

interface Where {
  readonly reader: Reader
  /** `validate.url`; empty for the whole file. */
  readonly path: string
  /** Where the value begins; for what is missing, where it would have been. */
  readonly at: number
}

function complain({ reader, path, at }: Where, sentence: string): undefined {
  const { line, col } = reader.lines.linePos(at)
  reader.problems.push(`${reader.file}:${line}:${col}: ${path === '' ? '' : `${path} `}${sentence}`)
  return undefined
}

const MUST_BE: Readonly<Record<Shape['is'], string>> = {
  text: 'must be text; put it into quotes',
  status: 'must be an HTTP status',
  list: 'must be a list',
  fields: 'must be a mapping of fields',
}

function read(node: unknown, shape: Shape, outer: Where): unknown {
  const { yaml } = outer.reader
  if (!yaml.isNode(node)) return complain(outer, MUST_BE[shape.is])
  const where = { ...outer, at: node.range?.[0] ?? outer.at }
  if (yaml.isAlias(node) || node.anchor !== undefined || node.tag !== undefined)
    return complain(where, 'must be written out, without anchors, aliases and tags')
  if (shape.is === 'list' && yaml.isSeq(node)) return readList(node.items, shape, where)
  if (shape.is === 'fields' && yaml.isMap(node)) return readFields(node.items, shape, where)
  if ((shape.is === 'text' || shape.is === 'status') && yaml.isScalar(node))
    return readScalar(node.value, shape, where)
  return complain(where, MUST_BE[shape.is])
}

function readScalar(value: unknown, shape: Extract<Shape, { is: 'text' | 'status' }>, where: Where): unknown {
  if (shape.is === 'status')
    return Number.isInteger(value) && Number(value) >= 200 && Number(value) <= 599
      ? value
      : complain(where, MUST_BE.status)
  if (typeof value !== 'string') return complain(where, MUST_BE.text)
  if (value.length > shape.max) return complain(where, `must have at most ${shape.max} characters`)
  const problem = shape.check?.(value)
  return problem === undefined ? value : complain(where, problem)
}

function readList(
  items: readonly unknown[],
  shape: Extract<Shape, { is: 'list' }>,
  where: Where,
): readonly unknown[] | undefined {
  if (items.length > shape.max) return complain(where, `must have at most ${shape.max} entries`)
  return items.map((item, i) => read(item, shape.of, { ...where, path: `${where.path}[${i}]` }))
}

function readFields(
  pairs: readonly Yaml.Pair[],
  { fields }: Extract<Shape, { is: 'fields' }>,
  where: Where,
): Readonly<Record<string, unknown>> {
  const { yaml } = where.reader
  const found: Record<string, unknown> = {}
  const below = (name: string): string => (where.path === '' ? name : `${where.path}.${name}`)
  for (const { key, value } of pairs) {
    const at = yaml.isNode(key) ? (key.range?.[0] ?? where.at) : where.at
    const name = yaml.isScalar(key) && typeof key.value === 'string' ? key.value : ''
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined)
      complain({ ...where, path: '', at }, unknownField(name, where.path, Object.keys(fields)))
    else found[name] = read(value, field, { ...where, path: below(name), at })
  }
  for (const [name, { required }] of Object.entries(fields))
    if (required === true && !Object.hasOwn(found, name))
      complain({ ...where, path: below(name) }, 'is required')
  return found
}

/** What looks like no field of ours may be a value in the wrong place: it is not repeated. */
function unknownField(name: string, path: string, known: readonly string[]): string {
  const below = path === '' ? '' : `${path}.`
  const shown = /^[a-z_]{1,32}$/i.test(name)
    ? `field ${below}${name}`
    : `a field${path === '' ? '' : ` of ${path}`}`
  const meant = nearest(name, known)
  return `${shown} is unknown; ${meant === undefined ? `here are ${known.join(', ')}` : `did you mean ${meant}?`}`
}
