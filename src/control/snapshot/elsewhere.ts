import { elsewhereIn, Secret } from '../../kinds/secret.ts'
import type { References, Wanted } from '../../secrets/backends/follow-references.ts'
import type { Stored } from '../stored.ts'
import type { Delta, State } from './state.ts'

/** Values that Secrets have elsewhere, followed as the snapshot goes on. */
export interface Elsewhere {
  /**
   * Reads what these refer to before anybody sees them, so that their values are there when they are; a backend that is
   * slow is not waited for.
   */
  prepare(state: State | undefined, all: readonly Stored[], withinMs: number): Promise<void>
  /** What has become visible decides what is followed. */
  settle(deltas: readonly Delta[]): void
}

export const createElsewhere = (references: Pick<References, 'follow'>): Elsewhere => ({
  async prepare(state, all, withinMs) {
    const fresh = all.filter(
      (stored) => isSecret(stored) && !isOlder(stored, state?.byUid.get(stored.resource.metadata.uid)),
    )
    await Promise.all(fresh.map((stored) => references.follow(uidOf(stored), wantedOf(stored), withinMs)))
  },
  settle(deltas) {
    const last = new Map<string, Wanted | undefined>()
    // Of what goes and comes back only how it is in the end: its values stay.
    for (const { before, after } of deltas) {
      const one = after ?? before
      if (one === undefined || !isSecret(one)) continue
      last.set(uidOf(one), after === undefined ? undefined : wantedOf(after))
    }
    for (const [uid, wanted] of last) void references.follow(uid, wanted)
  },
})

const isSecret = ({ resource }: Stored): boolean => resource.kind === Secret.kind
const uidOf = ({ resource }: Stored): string => resource.metadata.uid
const wantedOf = ({ resource }: Stored): Wanted | undefined => elsewhereIn(resource.spec as Secret['spec'])

const isOlder = (stored: Stored, visible: Stored | undefined): boolean =>
  visible !== undefined && visible.revision > stored.revision
