import type { KindDefinition, Resource } from '../kinds/define-kind.ts'
import { KINDS } from '../kinds/registry.ts'
import { Fault } from '../lib/fault.ts'
import type { ResourceRow } from '../store/tables.ts'

/** A resource as it is stored: its status holds only what was known when it was written. */
export interface Stored {
  readonly definition: KindDefinition
  readonly resource: Resource
  /** `''` for a kind of global scope. */
  readonly project: string
  /** Of the transaction that wrote it last. */
  readonly revision: number
  readonly createdAtMs: number
}

const DEFINITIONS = new Map(KINDS.map((definition) => [definition.kind, definition]))

const isoTime = (ms: number): string => new Date(ms).toISOString()

/**
 * A row, with what later versions of its kind have added filled in.
 *
 * @throws Fault `unavailable` when this version cannot read it
 */
export function toStored(row: ResourceRow): Stored {
  const definition = DEFINITIONS.get(row.kind)
  const spec = definition?.spec.safeParse(JSON.parse(row.spec))
  if (definition === undefined || spec?.success !== true) {
    throw new Fault('unavailable', {
      hint: 'the store holds something that this version of Castellan cannot read; start the version that wrote it',
      problems: [`${row.kind}/${row.name}`],
      detail: spec?.error?.issues,
    })
  }
  return {
    definition,
    project: row.project,
    revision: row.revision,
    createdAtMs: row.created_at_ms,
    resource: {
      apiVersion: 'castellan/v1',
      kind: row.kind,
      metadata: {
        name: row.name,
        ...(row.project === '' ? {} : { project: row.project }),
        labels: JSON.parse(row.labels) as Record<string, string>,
        annotations: JSON.parse(row.annotations) as Record<string, string>,
        uid: row.uid,
        generation: row.generation,
        createdAt: isoTime(row.created_at_ms),
        updatedAt: isoTime(row.updated_at_ms),
      },
      spec: spec.data,
      status: JSON.parse(row.status),
    },
  }
}

export const keyOf = (project: string, name: string): string => `${project}/${name}`
