/**
 * An immutable map for the snapshot: a change copies one shard of 256 and shares the rest, so that it costs the same
 * few microseconds with ten entries as with ten thousand, and whoever holds the older map keeps seeing that.
 */
export interface ShardedMap<V> {
  readonly size: number
  readonly get: (key: string) => V | undefined
  readonly has: (key: string) => boolean
  /** In no particular order. */
  values(): IterableIterator<V>
  entries(): IterableIterator<[string, V]>
  with(key: string, value: V): ShardedMap<V>
  without(key: string): ShardedMap<V>
}

const SHARDS = 256
type Shard<V> = ReadonlyMap<string, V>
const EMPTY: Shard<never> = new Map<string, never>()

/** FNV-1a over the first 64 characters: spreads names, and hexadecimal digests all the more. */
function shardOf(key: string): number {
  let hash = 0x81_1c_9d_c5
  for (let i = 0; i < key.length && i < 64; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01_00_01_93)
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (SHARDS - 1)
}

function wrap<V>(shards: readonly Shard<V>[], size: number): ShardedMap<V> {
  const shard = (key: string): Shard<V> => shards[shardOf(key)] ?? EMPTY
  const changed = (key: string, next: Shard<V>, by: number): ShardedMap<V> =>
    wrap(shards.with(shardOf(key), next), size + by)
  return {
    size,
    get: (key) => shard(key).get(key),
    has: (key) => shard(key).has(key),
    *values() {
      for (const each of shards) yield* each.values()
    },
    *entries() {
      for (const each of shards) yield* each.entries()
    },
    with(key, value) {
      const next = new Map(shard(key)).set(key, value)
      return changed(key, next, next.size - shard(key).size)
    },
    without(key) {
      if (!shard(key).has(key)) return this
      const next = new Map(shard(key))
      next.delete(key)
      return changed(key, next, -1)
    },
  }
}

/** Builds one at once: cheaper than adding entry by entry. A later entry replaces an earlier one with its key. */
export function shardedMap<V>(entries: Iterable<readonly [string, V]> = []): ShardedMap<V> {
  const shards = Array.from({ length: SHARDS }, () => new Map<string, V>())
  for (const [key, value] of entries) shards[shardOf(key)]?.set(key, value)
  return wrap(
    shards.map((shard) => (shard.size === 0 ? EMPTY : shard)),
    shards.reduce((sum, shard) => sum + shard.size, 0),
  )
}
