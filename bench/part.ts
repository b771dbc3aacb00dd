import type { Timing } from './measure.ts'
import type { LoadGenerator } from './processes.ts'

/** What every part of the benchmark is given. */
export interface Bench {
  readonly load: LoadGenerator
  readonly timing: Timing
  /** One short round: does it run, and nothing else. */
  readonly quick: boolean
  readonly withCastellan: boolean
}

/** Measures something, prints it, and returns figures for the history. */
export type Part = (bench: Bench) => Promise<object>
