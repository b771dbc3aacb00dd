import type { Exchange } from '../exchange.ts'

/** How often what was asked for, and how it ended: for the metrics. */
export interface Traffic {
  count(x: Exchange): void
  entries(): Iterable<{ readonly kind: string; readonly outcome: string; readonly count: number }>
}

export function createTraffic(): Traffic {
  const counts = new Map<string, Map<string, number>>()
  return {
    count({ kind, outcome = 'ok', outcomeCode }) {
      // A refusal is counted under its code: a limit that is hit must be seen. Codes of servers are theirs to invent.
      const how = outcomeCode !== undefined && /^[a-z_]+$/.test(outcomeCode) ? outcomeCode : outcome
      let byOutcome = counts.get(kind)
      if (byOutcome === undefined) {
        byOutcome = new Map()
        counts.set(kind, byOutcome)
      }
      byOutcome.set(how, (byOutcome.get(how) ?? 0) + 1)
    },
    *entries() {
      for (const [kind, byOutcome] of counts)
        for (const [outcome, count] of byOutcome) yield { kind, outcome, count }
    },
  }
}
