import type { KindDefinition } from '../../../kinds/define-kind.ts'
import type { State } from '../../snapshot/state.ts'
import type { Stored } from '../../stored.ts'

/** One difference between what the watcher knows and what there is. */
export interface Difference {
  readonly type: 'created' | 'changed' | 'deleted'
  /** Of the transaction that made it; of what is deleted, that of the state which lacks it. */
  readonly revision: number
  /** Absent: it is gone, or out of sight, and nothing but its name is told. */
  readonly stored: Stored | undefined
  readonly identity: Identity
}

interface Identity {
  readonly uid: string
  readonly name: string
  readonly project: string
}

interface Known extends Identity {
  /** As it was told last; undefined: in a state that may be another. */
  readonly revision: number | undefined
}

export interface ResourceWatchDeps {
  readonly definition: KindDefinition
  readonly state: () => State
  /** Whether the watcher may see it and asks for it, at this moment. */
  readonly wants: (stored: Stored) => boolean
}

/**
 * What a watcher has been told of one kind, held against what there is. It looks at objects, not at events: one that
 * changes ten times while the watcher reads slowly is told once, as it is then, so that what waits is bounded by the
 * number of objects.
 */
export class ResourceWatch {
  readonly #deps: ResourceWatchDeps
  readonly #known = new Map<string, Known>()
  readonly #pending = new Set<string>()

  constructor(deps: ResourceWatchDeps) {
    this.#deps = deps
  }

  /** Whether everything up to the present state has been told. */
  get isUpToDate(): boolean {
    return this.#pending.size === 0
  }

  /** What the watcher has heard of already. */
  know(known: Known): void {
    this.#known.set(known.uid, known)
  }

  lookAt(uid: string): void {
    this.#pending.add(uid)
  }

  /** Rights have changed, or nothing has been told yet. */
  lookAtAll(): void {
    for (const uid of this.#known.keys()) this.#pending.add(uid)
    const { definition, state } = this.#deps
    for (const { resource } of state().resources.get(definition.kind)?.values() ?? [])
      this.#pending.add(resource.metadata.uid)
  }

  /** @param most objects that are looked at */
  next(most: number): readonly Difference[] {
    const found: Difference[] = []
    const now = this.#deps.state()
    let looked = 0
    for (const uid of this.#pending) {
      if (looked === most) break
      looked += 1
      this.#pending.delete(uid)
      const difference = this.#compare(now, uid)
      if (difference !== undefined) found.push(difference)
    }
    return found
  }

  #compare(now: State, uid: string): Difference | undefined {
    const { definition, wants } = this.#deps
    const stored = now.byUid.get(uid)
    const known = this.#known.get(uid)
    if (stored?.definition !== definition || !wants(stored)) {
      this.#known.delete(uid)
      return known && { type: 'deleted', revision: now.revision, stored: undefined, identity: known }
    }
    const { revision, project } = stored
    if (known?.revision === revision) return undefined
    const identity = { uid, project, name: stored.resource.metadata.name }
    this.#known.set(uid, { uid, project, name: identity.name, revision })
    return { type: known === undefined ? 'created' : 'changed', revision, stored, identity }
  }
}
