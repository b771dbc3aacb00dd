import type { KindDefinition } from '../../kinds/define-kind.ts'
import { findResource, findResourcesByName, listResources } from '../../store/resources.ts'
import type { ControlDb } from '../../store/tables.ts'
import { toStored, type Stored } from '../stored.ts'

/** What a plan leaves behind of one resource. */
export interface After {
  readonly definition: KindDefinition
  readonly name: string
  readonly project: string
  readonly spec: unknown
  /** Of what is stored. */
  readonly status?: unknown
}

/** The resources as they would be after a plan: what it changes lies over what is stored. */
export interface PlannedView {
  /** As it is stored now. */
  stored(kind: string, project: string, name: string): Promise<Stored | undefined>
  /** Reads what many will ask for at once: a question each would take most of the time that a large plan takes. */
  load(keys: readonly Pick<After, 'definition' | 'project' | 'name'>[]): Promise<void>
  put(after: After): void
  /** It is gone with the plan. */
  drop(kind: string, project: string, name: string): void
  after(kind: string, project: string, name: string): Promise<After | undefined>
  afterAll(definition: KindDefinition): Promise<readonly After[]>
}

/** Of one kind. */
const WORTH_LOADING = 5

const idOf = (kind: string, project: string, name: string): string => `${kind}/${project}/${name}`

const asAfter = ({ definition, resource, project }: Stored): After => ({
  definition,
  name: resource.metadata.name,
  project,
  spec: resource.spec,
  status: resource.status,
})

/** Reads each resource once, so that a plan judges one state. */
export function createPlannedView(db: ControlDb): PlannedView {
  const stored = new Map<string, Stored | undefined>()
  const overlay = new Map<string, After | undefined>()
  const listed = new Map<string, readonly After[]>()

  async function findStored(kind: string, project: string, name: string): Promise<Stored | undefined> {
    const id = idOf(kind, project, name)
    if (!stored.has(id)) {
      const row = await findResource(db, { kind, project, name })
      stored.set(id, row === undefined ? undefined : toStored(row))
    }
    return stored.get(id)
  }

  async function load(keys: Parameters<PlannedView['load']>[0]): Promise<void> {
    for (const [{ kind }, wanted] of Map.groupBy(keys, ({ definition }) => definition)) {
      if (wanted.length < WORTH_LOADING) continue
      const names = new Set(wanted.map(({ name }) => name))
      const rows = await findResourcesByName(db, kind, [...names])
      for (const { project, name } of wanted) stored.set(idOf(kind, project, name), undefined)
      for (const row of rows) stored.set(idOf(kind, row.project, row.name), toStored(row))
    }
  }

  async function listStored(definition: KindDefinition): Promise<readonly After[]> {
    const known = listed.get(definition.kind)
    if (known !== undefined) return known
    const rows = await listResources(db, { kind: definition.kind })
    const all = rows.map((row) => asAfter(toStored(row)))
    listed.set(definition.kind, all)
    return all
  }

  return {
    stored: findStored,
    load,
    put: (after) => void overlay.set(idOf(after.definition.kind, after.project, after.name), after),
    drop: (kind, project, name) => void overlay.set(idOf(kind, project, name), undefined),
    async after(kind, project, name) {
      const id = idOf(kind, project, name)
      if (overlay.has(id)) return overlay.get(id)
      const found = await findStored(kind, project, name)
      return found === undefined ? undefined : asAfter(found)
    },
    async afterAll(definition) {
      const untouched = (await listStored(definition)).filter(
        ({ name, project }) => !overlay.has(idOf(definition.kind, project, name)),
      )
      const touched = [...overlay.values()].filter((after) => after?.definition === definition)
      return [...untouched, ...touched.filter((after) => after !== undefined)]
    },
  }
}
