import { ManifestMetadata, nameRule, type KindDefinition } from '../../kinds/define-kind.ts'
import { findKind, KINDS } from '../../kinds/registry.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { metadataSchema, specSchema } from '../kind-schema.ts'
import { nearest } from '../../lib/nearest.ts'
import { pathText, problemsOf, shownField } from './problems.ts'

/** A manifest that keeps every rule that it can keep on its own; what it refers to is checked by the plan. */
export interface Admitted {
  readonly definition: KindDefinition
  readonly name: string
  /** `''` for a kind of global scope. */
  readonly project: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** As the kind's schema gives it: with its defaults. May hold secret values. */
  readonly spec: unknown
}

export interface Expectation {
  /** The kind that the request is about. */
  readonly definition?: KindDefinition | undefined
  readonly name?: string | undefined
  /** Taken where the manifest names no project. */
  readonly project?: string | undefined
}

const ENVELOPE = ['apiVersion', 'kind', 'metadata', 'spec', 'status'] as const
/** Deeper than any manifest can be, and shallow enough to walk. */
const MAX_DEPTH = 32

/**
 * Envelope, kind, metadata, spec, and the rules between fields.
 *
 * @returns problems in the form `spec.field: sentence`, all of them at once; they never repeat a value
 */
export function validateManifest(
  document: unknown,
  expected: Expectation = {},
): Result<Admitted, readonly string[]> {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    return err(['a manifest is a mapping with apiVersion, kind, metadata and spec'])
  }
  const manifest = document as Record<string, unknown>
  const broken = brokenText(manifest, [])
  if (broken !== undefined) return err([broken])

  const definition = typeof manifest['kind'] === 'string' ? findManifestKind(manifest['kind']) : undefined
  const envelope = [...envelopeProblems(manifest), ...kindProblems(manifest['kind'], definition, expected)]
  if (definition === undefined) return err(envelope)

  const metadata = validateMetadata(manifest['metadata'], definition, expected)
  const spec = validateSpec(manifest['spec'], definition)
  const problems = [...envelope, ...(metadata.ok ? [] : metadata.error), ...(spec.ok ? [] : spec.error)]
  if (!metadata.ok || !spec.ok || problems.length > 0) return err(problems)
  return ok({ definition, ...metadata.value, spec: spec.value })
}

/** In a manifest the kind is written in full; the other words are for people at a command line. */
const findManifestKind = (word: string): KindDefinition | undefined => {
  const found = findKind(word)
  return found?.kind === word ? found : undefined
}

function envelopeProblems(manifest: Record<string, unknown>): string[] {
  const problems = Object.keys(manifest)
    .filter((key) => !(ENVELOPE as readonly string[]).includes(key))
    .map((key) => {
      const meant = nearest(key, ENVELOPE)
      return `${shownField(key)}: unknown field; ${meant === undefined ? `here are ${ENVELOPE.join(', ')}` : `did you mean ${meant}?`}`
    })
  if (manifest['apiVersion'] !== 'castellan/v1') problems.push('apiVersion: must be castellan/v1')
  return problems
}

function kindProblems(kind: unknown, found: KindDefinition | undefined, expected: Expectation): string[] {
  if (found !== undefined) {
    const wanted = expected.definition
    return wanted === undefined || wanted === found ? [] : [`kind: must be ${wanted.kind} at this address`]
  }
  if (typeof kind !== 'string') return ['kind: is required']
  const names = KINDS.map((definition) => definition.kind)
  const meant = findKind(kind)?.kind ?? nearest(kind, names)
  return [
    meant === undefined
      ? `kind: there is no such kind; there are ${names.join(', ')}`
      : `kind: there is no such kind; did you mean ${meant}?`,
  ]
}

type Named = Pick<Admitted, 'name' | 'project' | 'labels' | 'annotations'>

function validateMetadata(
  value: unknown,
  definition: KindDefinition,
  expected: Expectation,
): Result<Named, readonly string[]> {
  const parsed = ManifestMetadata.safeParse(value)
  if (!parsed.success) {
    return err(problemsOf(parsed.error.issues, { at: 'metadata', schema: metadataSchema(definition), value }))
  }
  const { name, labels, annotations } = parsed.data
  const ruled = nameRule(definition).safeParse(name)
  if (!ruled.success) return err(ruled.error.issues.map(({ message }) => `metadata.name: ${message}`))
  if (expected.name !== undefined && expected.name !== name) {
    return err(['metadata.name: must be the name in the address; a name cannot be changed'])
  }
  if (definition.scope === 'global') {
    return parsed.data.project === undefined
      ? ok({ name, project: '', labels, annotations })
      : err([`metadata.project: a ${definition.kind} belongs to no project; leave it out`])
  }
  const project = parsed.data.project ?? expected.project
  if (project === undefined)
    return err([`metadata.project: is required; a ${definition.kind} belongs to a project`])
  if (expected.project !== undefined && expected.project !== project) {
    return err(['metadata.project: is another one than the request names'])
  }
  return ok({ name, project, labels, annotations })
}

function validateSpec(
  value: unknown,
  definition: KindDefinition,
  at = 'spec',
): Result<unknown, readonly string[]> {
  const parsed = definition.spec.safeParse(value)
  if (!parsed.success) {
    return err(problemsOf(parsed.error.issues, { at, schema: specSchema(definition), value }))
  }
  const problems = definition.check?.(parsed.data) ?? []
  if (problems.length > 0) return err(problems.map((problem) => problem.replace(/^spec\b/, at)))
  const inner = definition.describes?.(parsed.data)
  const kind = inner === undefined ? undefined : findKind(inner.kind)
  if (inner === undefined || kind === undefined) return ok(parsed.data)
  const described = validateSpec(inner.spec, kind, inner.at)
  return described.ok ? ok(parsed.data) : described
}

/**
 * Text that could not come back as it was: half a surrogate pair has no UTF-8, and NUL neither a place in an
 * environment nor in a PostgreSQL text. Also bounds the depth, for everything that walks a manifest later.
 */
function brokenText(value: unknown, path: readonly PropertyKey[]): string | undefined {
  if (path.length > MAX_DEPTH) return 'the manifest: is nested too deeply'
  if (typeof value === 'string') {
    if (!value.isWellFormed()) return `${pathText('', path)}: is not valid Unicode`
    return value.includes('\0') ? `${pathText('', path)}: must not hold a NUL character` : undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const entries: Iterable<[PropertyKey, unknown]> = Array.isArray(value)
    ? value.entries()
    : Object.entries(value)
  for (const [key, inner] of entries) {
    // zod passes over this one without a word.
    if (key === '__proto__') return `${pathText('', path)}: has a field by a name that is not possible`
    const problem = brokenText(inner, [...path, key])
    if (problem !== undefined) return problem
  }
  return undefined
}
