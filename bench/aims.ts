import type { Figures } from './measure.ts'
import { compareTo, type Comparison, type Verdict } from './report.ts'

interface Aim {
  readonly what: string
  readonly load: (era: string) => string
  readonly of: (comparison: Comparison) => number
  readonly bound: number
  readonly better: 'higher' | 'lower'
}

const busy = (era: string) => `call, ${era}, 32 conn`
const alone = (era: string) => `call, ${era}, 1 conn`
const slow = (era: string) => `1 ms upstream, ${era}, 1 conn`

/** What the design asks for, at one connection and at 32. */
// oxfmt-ignore
const AIMS: readonly Aim[] = [
  { what: 'throughput, × floor, 32 conn',            load: busy,  of: (c) => c.throughput, bound: 0.8,  better: 'higher' },
  { what: 'CPU per request, × floor, 32 conn',       load: busy,  of: (c) => c.cpu,        bound: 1.35, better: 'lower' },
  { what: 'added p50 over a 1 ms upstream, ms',      load: slow,  of: (c) => c.addedP50,   bound: 0.3,  better: 'lower' },
  { what: 'added p50 over a null upstream, ms',      load: alone, of: (c) => c.addedP50,   bound: 0.6,  better: 'lower' },
  { what: 'added p99 over a null upstream, ms',      load: alone, of: (c) => c.addedP99,   bound: 3,    better: 'lower' },
]

/** Each aim with what was measured and whether that meets it, for both eras; empty without Castellan. */
export function judge(figures: ReadonlyMap<string, Figures>): Verdict[] {
  return ['legacy', 'modern'].flatMap((era) =>
    AIMS.flatMap(({ what, load, of, bound, better }) => {
      const [it, floor, direct] = ['castellan', 'floor', 'direct'].map((who) =>
        figures.get(`${who} ${load(era)}`),
      )
      if (it === undefined || floor === undefined || direct === undefined) return []
      return [{ what: `${what} (${era})`, bound, better, measured: of(compareTo(it, floor, direct)) }]
    }),
  )
}
