/** Whom a try counts against. */
export interface TryFrom {
  /** Address without port, as the connection has it. */
  readonly source: string
  /** The account that was named, digested, whether or not there is one. */
  readonly account: string
}

export type Turn =
  /** Call `succeeded` when the try was a good one: then it counts for nothing. */
  | { readonly granted: true; succeeded(): void }
  | { readonly granted: false; readonly retryAfterSeconds: number }

/**
 * Slows down whoever guesses. A try is counted before it is looked at, so that a thousand at once are a thousand; who
 * succeeds gets theirs back. Nobody is locked out: every count goes down with time, and an account that is guessed at
 * from everywhere stays open to sources from which it was signed in to before.
 */
export interface Throttle {
  attempt(from: TryFrom): Turn
  /** How many sources, accounts and pairs are known: bounded. */
  size(): number
}

interface Limit {
  /** Tries in a row. */
  readonly burst: number
  /** One more after so many milliseconds. */
  readonly refillMs: number
}

/** A source can be the proxy of a whole company, so it gets more than one source on one account. */
const SOURCE: Limit = { burst: 60, refillMs: 1000 }
const PAIR: Limit = { burst: 10, refillMs: 30_000 }
const ACCOUNT: Limit = { burst: 100, refillMs: 5000 }
/** Of each: who is longest silent is forgotten first. */
const MAX_KNOWN = 10_000
/** A source is known to an account for so long. */
const KNOWN_FOR_MS = 30 * 24 * 3600 * 1000

/** Counts are in memory, each daemon's own: a restart forgets them, and several daemons allow as many times as much. */
export function createThrottle(tickMs: () => number): Throttle {
  const sources = createBuckets(SOURCE, tickMs)
  const pairs = createBuckets(PAIR, tickMs)
  const accounts = createBuckets(ACCOUNT, tickMs)
  /** Pairs that have succeeded, and when. */
  const good = new Map<string, number>()

  const isGood = (pair: string): boolean => {
    const at = good.get(pair)
    return at !== undefined && tickMs() - at < KNOWN_FOR_MS
  }

  return {
    attempt({ source, account }) {
      const from = networkOf(source)
      const pair = `${from} ${account}`
      const concerned: (readonly [Buckets, string])[] = [
        [sources, from],
        [pairs, pair],
      ]
      if (!isGood(pair)) concerned.push([accounts, account])
      const waitMs = Math.max(...concerned.map(([buckets, key]) => buckets.waitMs(key)))
      if (waitMs > 0) return { granted: false, retryAfterSeconds: Math.ceil(waitMs / 1000) }
      for (const [buckets, key] of concerned) buckets.take(key)
      return {
        granted: true,
        succeeded() {
          for (const [buckets, key] of concerned) buckets.giveBack(key)
          good.delete(pair)
          forgetOldest(good)
          good.set(pair, tickMs())
        },
      }
    },
    size: () => sources.size() + pairs.size() + accounts.size() + good.size,
  }
}

interface Buckets {
  /** 0: there is one to take. */
  waitMs(key: string): number
  take(key: string): void
  giveBack(key: string): void
  size(): number
}

/** For each key, how many tries were made that have not been forgiven yet, and as of when. */
function createBuckets({ burst, refillMs }: Limit, tickMs: () => number): Buckets {
  const used = new Map<string, { readonly count: number; readonly atMs: number }>()

  function countOf(key: string): number {
    const found = used.get(key)
    return found === undefined ? 0 : Math.max(0, found.count - (tickMs() - found.atMs) / refillMs)
  }

  function put(key: string, count: number): void {
    used.delete(key)
    if (count <= 0) return
    forgetOldest(used)
    used.set(key, { count, atMs: tickMs() })
  }

  return {
    waitMs: (key) => Math.max(0, (countOf(key) + 1 - burst) * refillMs),
    take: (key) => put(key, countOf(key) + 1),
    giveBack: (key) => put(key, countOf(key) - 1),
    size: () => used.size,
  }
}

/** A map keeps the order of its entries, and each that changes is put at its end. Many at once: finding the first is slow. */
function forgetOldest(map: Map<string, unknown>): void {
  if (map.size < MAX_KNOWN) return
  for (const key of map.keys()) {
    if (map.size <= MAX_KNOWN * 0.9) return
    map.delete(key)
  }
}

/** Whoever has one IPv6 address has all 2^64 of its network. */
function networkOf(source: string): string {
  const plain = source.replace(/^::ffff:(?=\d)/i, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::', 2)
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16))
    .join(':')
}
