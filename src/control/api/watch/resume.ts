import type { Permission } from '../../../access/permission.ts'
import type { KindDefinition } from '../../../kinds/define-kind.ts'
import { Fault } from '../../../lib/fault.ts'
import type { ChangeRow } from '../../../store/tables.ts'
import type { SnapshotSource } from '../../snapshot/snapshot.ts'
import type { State } from '../../snapshot/state.ts'
import type { Stored } from '../../stored.ts'
import type { ResourceWatch } from './resource-watch.ts'

export interface ResumeDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'catchUp' | 'changesSince'>
  readonly definition: KindDefinition
  readonly project: string | undefined
  readonly sees: (stored: Stored) => boolean
  readonly selects: (stored: Stored) => boolean
  /** Whether the watcher may know of something that is gone. */
  readonly mayView: (permission: Permission) => boolean
  /** Whether a change of that kind may have changed what the watcher sees. */
  readonly movesSight: (change: { readonly kind: string; readonly uid: string }) => boolean
}

const EXPIRED = 'list again, and watch from the metadata.revision of that list'

/**
 * Lets a watch go on behind a revision up to which its client knows everything.
 *
 * @throws Fault `expired` when that cannot be told any more: too long ago, of another database, or the rights of the
 *   client were others then
 */
export async function resume(deps: ResumeDeps, watch: ResourceWatch, since: number): Promise<void> {
  const changes = await readChanges(deps, since)
  const state = deps.snapshot.state()
  if (changes === undefined || changes.some(deps.movesSight)) throw new Fault('expired', { hint: EXPIRED })
  const first = new Map<string, ChangeRow>()
  for (const change of changes) if (!first.has(change.uid)) first.set(change.uid, change)
  knowPresent(deps, watch, { state, since, first })
  for (const change of first.values()) {
    if (change.kind !== deps.definition.kind) continue
    watch.lookAt(change.uid)
    if (!state.byUid.has(change.uid)) knowGone(deps, watch, change)
  }
}

/** All changes behind `since` that the present state has, and maybe some that it has not yet. */
async function readChanges(
  { snapshot }: ResumeDeps,
  since: number,
): Promise<readonly ChangeRow[] | undefined> {
  // Another daemon may have told the client of what this one has yet to read.
  if (since > snapshot.state().revision) await snapshot.catchUp()
  for (;;) {
    const changes = await snapshot.changesSince(since)
    if (changes === undefined) return undefined
    // Somebody may have written while we read.
    if ((changes.at(-1)?.revision ?? since) >= snapshot.state().revision) return changes
  }
}

interface Then {
  readonly state: State
  readonly since: number
  readonly first: ReadonlyMap<string, ChangeRow>
}

function knowPresent(deps: ResumeDeps, watch: ResourceWatch, { state, since, first }: Then): void {
  const { definition, project, sees, selects } = deps
  for (const stored of state.resources.get(definition.kind)?.values() ?? []) {
    const { uid, name } = stored.resource.metadata
    const isSame = stored.revision <= since
    // What was made since is not known. What was changed may have been known, whether or not it is asked for now.
    const wasThere = isSame ? selects(stored) : first.get(uid)?.operation !== 'insert'
    const inProject = project === undefined || definition.scope === 'global' || stored.project === project
    if (!wasThere || !inProject || !sees(stored)) continue
    watch.know({ uid, name, project: stored.project, revision: isSame ? stored.revision : undefined })
  }
}

function knowGone(deps: ResumeDeps, watch: ResourceWatch, change: ChangeRow): void {
  const { definition, mayView, project } = deps
  const { uid, name, operation } = change
  const inProject = project === undefined || definition.scope === 'global' || change.project === project
  if (operation === 'insert' || !inProject) return
  const within = change.project === '' ? undefined : change.project
  if (mayView({ verb: 'view', kind: definition.plural, name, project: within }))
    watch.know({ uid, name, project: change.project, revision: undefined })
}
