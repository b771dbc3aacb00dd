import type { Secret } from '../kinds/secret.ts'
import { elsewhereIn } from '../kinds/secret.ts'
import type { References } from '../secrets/backends/follow-references.ts'
import { THIS_DAEMON } from './this-daemon.ts'

/** What this daemon knows of values that are kept elsewhere; undefined: they are kept here. */
export function secretStatus(
  references: Pick<References, 'seen'>,
  { spec, metadata }: Secret,
): Secret['status'] | undefined {
  if (elsewhereIn(spec) === undefined) return undefined
  const seen = [...references.seen(metadata.uid)]
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
