import type { KeyLine, KeyReport } from '../../control/render/keys.ts'
import type { KeyState } from '../../secrets/keys/key-record.ts'
import { countSealed, SEALED_TABLES, type SealedTable } from '../../store/sealed-tables.ts'
import type { Store } from '../../store/store.ts'
import type { StoreKeyRecord } from './key-record.ts'

/** What each table holds, in the words of the command line. */
const WORDS: Readonly<Record<SealedTable, string>> = {
  sealed: 'secrets',
  grant_secrets: 'grants',
  answers: 'answers',
  upstream_sessions: 'sessions',
  sign_in_attempts: 'sign-ins',
  grant_attempts: 'authorizations',
}

type Counts = ReadonlyMap<string, Readonly<Record<string, number>>>

/**
 * All keys, all daemons, and whatever is left to do: any daemon sees the whole store.
 *
 * @param shut values that do not open, as far as this daemon has found some
 */
export async function reportKeys(
  store: Pick<Store, 'control' | 'state'>,
  record: Pick<StoreKeyRecord, 'read' | 'holders'>,
  shut: number | undefined,
): Promise<KeyReport> {
  const state = await record.read()
  const counts = await countValues(store)
  const { rotation } = state
  const left = Object.values(counts.get(rotation?.oldKey ?? '') ?? {}).reduce((sum, count) => sum + count, 0)
  return {
    keys: linesOf(state, counts),
    daemons: (await record.holders()).map(({ host, source, startsWith }) => ({ host, source, startsWith })),
    rotation:
      rotation === undefined
        ? undefined
        : {
            oldKey: rotation.oldKey,
            newKey: rotation.newKey,
            phase: rotation.phase,
            begunAtMs: rotation.begunAtMs,
            left,
            shut,
          },
  }
}

async function countValues(store: Pick<Store, 'control' | 'state'>): Promise<Counts> {
  const counts = new Map<string, Record<string, number>>()
  for (const table of SEALED_TABLES)
    for (const { key_id, count } of await countSealed(store, table)) {
      const ofKey = counts.get(key_id) ?? {}
      ofKey[WORDS[table]] = count
      counts.set(key_id, ofKey)
    }
  return counts
}

function linesOf({ inUse, rotation, retired }: KeyState, counts: Counts): KeyLine[] {
  const values = (id: string): KeyLine['values'] => counts.get(id) ?? {}
  const known = (ms: number): number | undefined => (ms === 0 ? undefined : ms)
  const lines: KeyLine[] = []
  if (inUse !== undefined)
    lines.push({
      id: inUse.keyId,
      state: 'in-use',
      sinceMs: known(inUse.sinceMs),
      values: values(inUse.keyId),
    })
  if (rotation?.phase === 'announced')
    lines.push({ id: rotation.newKey, state: 'next', values: values(rotation.newKey) })
  if (rotation?.phase === 'sealing')
    lines.push({
      id: rotation.oldKey,
      state: 'replaced',
      sinceMs: known(rotation.oldSinceMs),
      untilMs: inUse?.sinceMs,
      values: values(rotation.oldKey),
    })
  for (const { keyId, sinceMs, retiredAtMs } of retired)
    lines.push({
      id: keyId,
      state: 'retired',
      sinceMs: known(sinceMs),
      untilMs: retiredAtMs,
      values: values(keyId),
    })
  return lines
}
