import { z } from 'zod'
import { isUid } from '../lib/id.ts'

/**
 * One definition per kind: types, REST verbs, OpenAPI, manifest validation and editor schema, CLI columns, `explain`
 * and completion are all derived from it (design: "One definition per kind"). Whatever is derived walks
 * `registry.ts`, so it cannot forget a kind.
 */
export interface KindDefinition<
  Kind extends string = string,
  Spec extends z.ZodType = z.ZodType,
  Status extends z.ZodType = z.ZodType,
> {
  /** Singular, as in manifests: `Server`. */
  readonly kind: Kind
  /** Path segment and permission word: `servers`. */
  readonly plural: string
  /** What the CLI takes besides kind and plural: `srv`. */
  readonly short: readonly string[]
  /** `project`: `metadata.project` is required and names are unique within it. */
  readonly scope: 'global' | 'project'
  /** What `metadata.name` may be; absent: `Name`. No rule may admit what looks like a uid. */
  readonly name?: z.ZodType<string>
  /** Made and changed by the system alone: a manifest of it is refused, reading and deleting are for everyone allowed. */
  readonly systemMade?: boolean
  /** First letters of every uid: `srv`. */
  readonly uidPrefix: string
  /** One sentence for `explain`, OpenAPI and the reference page. */
  readonly summary: string
  /** Strict: an unknown field is an error. Every field has a `description` (`.describe`). */
  readonly spec: Spec
  /** What the system observed. Written by nobody else; `apply` ignores it. */
  readonly status: Status
  readonly columns: readonly Column<z.output<Spec>, z.output<Status>>[]
  /** Other resources that a spec names; checked at admission. */
  readonly references?: (spec: z.output<Spec>) => readonly Reference[]
  /** Rules that need more than one field, as problems in the form `spec.field: sentence`. */
  readonly check?: (spec: z.output<Spec>) => readonly string[]
  /** Rules for a spec that is not there yet, in the same form. */
  readonly checkNew?: (spec: z.output<Spec>, nowMs: number) => readonly string[]
  /** Rules for a change of an existing spec, in the same form: what may be set once only, what cannot be taken back. */
  readonly checkChange?: (before: z.output<Spec>, after: z.output<Spec>) => readonly string[]
  /** A spec of another kind that this one describes; it is checked as one. `at`: where it stands (`spec.server`). */
  readonly describes?: (spec: z.output<Spec>) => Described
  /** Where a spec holds values that are sealed on arrival and never shown again. */
  readonly secrets?: SecretValues<z.output<Spec>>
  /** Position in `apply`: lower first, so that what is referred to exists. Deletion goes the other way. */
  readonly applyOrder: number
  /** A manifest to start from: shown by `explain`, checked by a test. */
  readonly example: Spec extends z.ZodType ? z.input<Spec> : never
}

export interface Column<Spec, Status> {
  readonly header: string
  readonly of: (resource: Resource<Spec, Status>) => string | number | undefined
  /** Shown with `-o wide` only. */
  readonly wide?: boolean
}

interface SecretValues<Spec> {
  /** Path of the map, for messages: `spec.data`. */
  readonly path: string
  /** Field to value; null: keep the value that is stored. */
  readonly of: (spec: Spec) => Readonly<Record<string, string | null>>
  /** Everything that can be referred to in it, wherever the value of that is kept. */
  readonly keys: (spec: Spec) => readonly string[]
  /** The spec as it is stored and shown: every value null. */
  readonly withhold: (spec: Spec) => Spec
}

interface Described {
  readonly kind: string
  readonly at: string
  readonly spec: unknown
}

export interface Reference {
  readonly kind: string
  readonly name: string
  /** One of the secret values in it. */
  readonly key?: string
  /** Where the reference stands, for the message: `spec.servers[2]`. */
  readonly path: string
}

export interface Resource<Spec = unknown, Status = unknown> {
  readonly apiVersion: 'castellan/v1'
  readonly kind: string
  readonly metadata: Metadata
  readonly spec: Spec
  readonly status: Status
}

export interface Metadata {
  readonly name: string
  readonly project?: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly uid: string
  /** Counts changes of `spec`, from 1. */
  readonly generation: number
  /** RFC 3339, UTC. */
  readonly createdAt: string
  readonly updatedAt: string
}

/**
 * Names: what DNS labels allow, at most 40 characters. No `_`, so that a name is never mistaken for a uid and
 * `{server}__{tool}` splits in one way only.
 */
export const Name = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/,
    'must be 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit',
  )

/** Names of people and of what is made for them: mail addresses fit. */
export const LongName = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._@+-]{0,251}[a-z0-9])?$/,
    'must be 1 to 253 of a-z, 0-9, ".", "_", "@", "+" and "-", beginning and ending with a letter or digit',
  )
  .refine((name) => !isUid(name), 'must not look like a uid')

const LabelName = z
  .string()
  .regex(
    /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/,
    'must be 1 to 128 of A-Z, a-z, 0-9, ".", "_", "/" and "-", beginning and ending with a letter or digit',
  )

const Labels = z
  .record(LabelName, z.string().max(1024))
  .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 entries')

/** The rule of a kind for `metadata.name`. */
export const nameRule = ({ name }: Pick<KindDefinition, 'name'>): z.ZodType<string> => name ?? Name

/** `metadata` as a user may write it. What the system adds is accepted and ignored, so that `get -o yaml` can be applied. */
export const ManifestMetadata = z.strictObject({
  name: z.string().describe('Unique within the kind (and the project, for kinds that belong to one).'),
  project: Name.optional().describe('The project this belongs to; only for kinds that belong to one.'),
  labels: Labels.default({}).describe('Your own words for grouping and selecting.'),
  annotations: Labels.default({}).describe('Your own notes; never interpreted.'),
  uid: z.string().max(64).optional().describe('Set by the system; ignored here.'),
  generation: z.number().optional().describe('Set by the system; ignored here.'),
  createdAt: z.string().max(64).optional().describe('Set by the system; ignored here.'),
  updatedAt: z.string().max(64).optional().describe('Set by the system; ignored here.'),
})
export type ManifestMetadata = z.output<typeof ManifestMetadata>

/** Fills the type parameters in from the argument; the value is the definition itself. */
export function defineKind<const Kind extends string, Spec extends z.ZodType, Status extends z.ZodType>(
  definition: KindDefinition<Kind, Spec, Status>,
): KindDefinition<Kind, Spec, Status> {
  return definition
}

export type SpecOf<D> = D extends KindDefinition<string, infer Spec> ? z.output<Spec> : never
export type StatusOf<D> = D extends KindDefinition<string, z.ZodType, infer Status> ? z.output<Status> : never
export type ResourceOf<D> = Resource<SpecOf<D>, StatusOf<D>>

/** A glob over names: `*` any run of characters, `?` one; everything else stands for itself. */
export const Glob = z.string().min(1).max(128)
