/** One thing that is wrong with a record, and where. */
export interface Finding {
  readonly what: 'changed' | 'missing' | 'cut off' | 'anchor' | 'unreadable'
  /** First segment concerned, and the last where there are several. */
  readonly segment?: number | undefined
  readonly to?: number | undefined
  /** About when that was: of the segment, or of what is nearest to it. */
  readonly atMs?: number | undefined
  readonly message: string
}

export interface Findings {
  readonly add: (what: Finding['what'], place: Omit<Finding, 'what' | 'message'>, message: string) => void
  readonly all: () => readonly Finding[]
}

/** A record that is wrong from one end to the other needs no list of all of it. */
const MAX_FINDINGS = 100

export function createFindings(): Findings {
  const found: Finding[] = []
  return {
    add(what, place, message) {
      if (found.length < MAX_FINDINGS) found.push({ what, ...place, message })
    },
    all: () => found,
  }
}
