import { isSignedAnchor, readAnchor, type Anchor } from './anchors.ts'
import type { SeenTip, Tips } from './entry.ts'
import type { OtherChains } from './record.ts'
import type { Signer } from './signer.ts'
import { makeTips } from './tips.ts'

export interface TipWatch {
  /** Looks once more, and says what moved: for the end of a life. Never rejects, and takes 2 s at most. */
  last(): Promise<void>
  stop(): void
}

export interface TipWatchDeps {
  /** The chain that is written here. */
  readonly chain: string
  readonly others: OtherChains
  readonly signer: Signer
  /** Between two looks. */
  readonly everyMs: number
  readonly nowMs: () => number
  readonly say: (entry: Tips) => void
}

/** Everything that is seen is said again this often, long before retention could take what was said away. */
const AGAIN_MS = 24 * 3_600_000
/** Chains named by one entry: some 20 KB. */
const MAX_TIPS = 200
const LAST_MS = 2_000

/**
 * Looks at the other chains of a shared record and says how far they were: all of them at the start and once a day, those
 * that moved on every look, nothing when none did. A chain that went on by such entries alone has not moved, or two idle
 * daemons would go on answering each other for ever.
 */
export function watchTips({ chain, others, signer, everyMs, nowMs, say }: TipWatchDeps): TipWatch {
  /** Newest segment of a chain that was said, and that was looked at. */
  const seen = new Map<string, { readonly said: number; readonly looked: number }>()
  let saidAllAtMs = Number.NEGATIVE_INFINITY
  let stopped = false
  let looking: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  async function look(any: boolean): Promise<void> {
    const all = nowMs() - saidAllAtMs >= AGAIN_MS
    const tips: SeenTip[] = []
    for (const line of await others.anchors()) {
      const anchor = readAnchor(line)
      if (anchor !== undefined && (await isNews(anchor, { all, any }))) tips.push(tipOf(anchor))
    }
    if (all) saidAllAtMs = nowMs()
    for (let from = 0; from < tips.length; from += MAX_TIPS)
      say(makeTips(chain, nowMs(), tips.slice(from, from + MAX_TIPS), signer))
    for (const tip of tips) seen.set(tip.chain, { said: tip.seq, looked: tip.seq })
  }

  /** Nobody but its writer can sign an anchor: one that does not fit, or is older than what was seen, is not passed on. */
  async function isNews(anchor: Anchor, { all, any }: { all: boolean; any: boolean }): Promise<boolean> {
    const { seq } = anchor
    const { said, looked } = seen.get(anchor.chain) ?? { said: 0, looked: 0 }
    if (seq < said || (seq === said && !all) || !isSignedAnchor(anchor, signer)) return false
    if (all || any || (await others.hasMore(anchor.chain, looked, seq))) return true
    seen.set(anchor.chain, { said, looked: seq })
    return false
  }

  /** A look that fails is one that comes later: while the database is away nothing moves either. */
  const lookOnce = (any: boolean): Promise<void> =>
    (looking = looking.then(() => look(any)).catch(() => undefined))

  async function run(): Promise<void> {
    await lookOnce(false)
    if (!stopped) timer = setTimeout(() => void run(), everyMs)
  }

  void run()
  return {
    async last() {
      stopped = true
      clearTimeout(timer)
      let late: NodeJS.Timeout | undefined
      const enough = new Promise<void>((resolve) => (late = setTimeout(resolve, LAST_MS)))
      await Promise.race([lookOnce(true), enough])
      clearTimeout(late)
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const tipOf = ({ chain, seq, mac }: Anchor): SeenTip => ({ chain, seq, mac })
