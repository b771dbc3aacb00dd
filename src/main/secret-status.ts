import { elsewhereIn, type Secret } from '../kinds/secret.ts'
import type { Seen } from '../secrets/backends/followed-value.ts'
import type { References } from '../secrets/backends/follow-references.ts'
import { THIS_DAEMON } from './this-daemon.ts'

const PENDING: Seen = { state: 'pending' }

/** What this daemon knows of values that are kept elsewhere; undefined: they are kept here. */
export function secretStatus(
  references: Pick<References, 'seen'>,
  { spec, metadata }: Secret,
): Secret['status'] | undefined {
  const elsewhere = elsewhereIn(spec)
  if (elsewhere === undefined) return undefined
  const known = references.seen(metadata.uid)
  const seen = Object.keys(elsewhere.refs).map((key) => [key, known.get(key) ?? PENDING] as const)
  return {
    sizes: Object.fromEntries(
      seen.flatMap(([key, { bytes }]) => (bytes === undefined ? [] : [[key, bytes] as const])),
    ),
    keys: Object.fromEntries(
      seen.map(([key, { state, atMs, message }]) => [
        key,
        {
          state,
          ...(atMs === undefined ? {} : { lookedAt: new Date(atMs).toISOString() }),
          ...(message === undefined ? {} : { message }),
        },
      ]),
    ),
    daemon: THIS_DAEMON,
  }
}
