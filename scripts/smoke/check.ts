import type { Place } from './place.ts'

/** One thing that is tried. */
export interface Check {
  readonly name: string
  /**
   * @returns a few words about what was seen
   * @throws Skipped where what it needs is not at hand; everything else thrown is a failure
   */
  readonly run: (place: Place) => Promise<string | undefined>
}

/** It could not be tried: the message says what it would take. */
export class Skipped extends Error {}

/** @throws Error with the sentence when it does not hold */
export function must(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new Error(sentence)
}
