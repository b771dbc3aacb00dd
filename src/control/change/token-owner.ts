import type { TokenOwner } from '../../access/principal.ts'
import type { TokenSpec } from '../../kinds/token.ts'
import { findResource } from '../../store/resources.ts'
import type { ControlDb } from '../../store/tables.ts'
import type { Admitted } from '../admission/validate.ts'
import type { Stored } from '../stored.ts'
import type { PlannedView } from './view.ts'

/**
 * The spec with the owner that a Token has: the one that is stored, the one that is given, or whoever makes it.
 *
 * @param maker undefined: the administrator of the host
 */
export function settledSpec(
  { definition, spec }: Admitted,
  before: Stored | undefined,
  maker: TokenOwner | undefined,
): unknown {
  if (definition.kind !== 'Token') return spec
  const given = spec as TokenSpec
  const owner = given.owner ?? (before === undefined ? maker : (before.resource.spec as TokenSpec).owner)
  return owner === undefined ? given : { ...given, owner: { kind: owner.kind, name: owner.name } }
}

/** The owner of a Token that is made must be there: its uid is noted, and one who is made later is another. */
export async function ownerProblems(
  { definition }: Admitted,
  { spec, before }: { readonly spec: unknown; readonly before: Stored | undefined },
  view: PlannedView,
): Promise<readonly string[]> {
  const owner = definition.kind === 'Token' ? (spec as TokenSpec).owner : undefined
  if (owner === undefined || before !== undefined) return []
  const found = await view.after(owner.kind, '', owner.name)
  return found === undefined ? [`spec.owner: there is no ${owner.kind} by that name`] : []
}

/** Uid of the owner, inside of the transaction that makes the Token. */
export async function ownerUid(db: ControlDb, owner: TokenOwner | undefined): Promise<string | undefined> {
  if (owner === undefined) return undefined
  return (await findResource(db, { kind: owner.kind, project: '', name: owner.name }))?.uid
}
