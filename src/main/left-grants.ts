import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { Grants } from '../grants/grants.ts'
import type { Log } from '../lib/log.ts'
import { findResourcesByUid } from '../store/resources.ts'
import type { ControlDb } from '../store/tables.ts'
import type { LeasedWork } from './leases/leases.ts'

export interface LeftGrantsDeps {
  readonly db: ControlDb
  readonly grants: Pick<Grants, 'list' | 'revoke'>
  readonly snapshot: Pick<SnapshotSource, 'subscribe'>
  readonly log: Log
}

/** Holders, by the kind of what they are. */
const HOLDERS: Readonly<Record<string, string>> = {
  User: 'user',
  ServiceAccount: 'service-account',
  Project: 'project',
}
/** All are looked at as often, besides at the beginning: one may have been given while its holder was being removed. */
const ALL_MS = 60 * 60_000

/**
 * Grants of those who are not there any more: forgotten, and taken back by whoever has issued them, where that can be
 * done. As soon as a holder is removed, and at the beginning for those that were removed while nobody looked.
 */
export const createLeftGrants = (deps: LeftGrantsDeps): LeasedWork => {
  async function end(holder: string | undefined): Promise<void> {
    // Listed first: whoever has a grant by then was there before it.
    const found = (await deps.grants.list({ holder })).filter((grant) => uidOf(grant.holder) !== undefined)
    const uids = [...new Set(found.map((grant) => uidOf(grant.holder) ?? ''))]
    const there = new Set((await findResourcesByUid(deps.db, uids)).map(({ uid }) => uid))
    for (const { name, profile, holder: whose } of found) {
      if (there.has(uidOf(whose) ?? '')) continue
      const gone = await deps.grants.revoke({ name, profile, holder: whose })
      deps.log.info(
        { grant: name, holder: whose, revoked: gone?.revoked },
        'a grant went with whoever it was of',
      )
    }
  }

  return async (signal) => {
    const work = createTurns((holder) =>
      end(holder).catch((thrown: unknown) =>
        deps.log.warn({ err: thrown, holder }, 'grants of nobody are still there'),
      ),
    )
    const unsubscribe = deps.snapshot.subscribe(({ changed }) => {
      for (const { kind, uid, operation } of changed) {
        const word = HOLDERS[kind]
        if (operation === 'remove' && word !== undefined) work.add(`${word}:${uid}`)
      }
    })
    const timer = setInterval(() => work.add(undefined), ALL_MS).unref()
    work.add(undefined)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    clearInterval(timer)
    unsubscribe()
    await work.ended()
  }
}

const uidOf = (holder: string): string | undefined =>
  /^(?:user|service-account|project):(.+)$/.exec(holder)?.[1]

/** One after the other: many may be removed at once. */
function createTurns(work: (holder: string | undefined) => Promise<void>) {
  let last = Promise.resolve()
  const waiting = new Set<string | undefined>()
  return {
    add(holder: string | undefined): void {
      if (waiting.has(holder)) return
      waiting.add(holder)
      last = last.then(() => {
        waiting.delete(holder)
        return work(holder)
      })
    },
    ended: () => last,
  }
}
