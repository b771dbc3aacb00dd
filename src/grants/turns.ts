/** Lets so many at a time do something at one place; the others wait in the order in which they came. */
export interface Turns {
  /** @param quiet nobody waits for it: as long as others do, every second turn is theirs */
  take<T>(place: string, work: () => Promise<T>, quiet?: boolean): Promise<T>
  /** How much of what nobody waits for has to wait there. */
  quietAt(place: string): number
}

interface Place {
  busy: number
  readonly waiting: (() => void)[]
  readonly quiet: (() => void)[]
  /** Whose turn was the last. */
  wasQuiet: boolean
}

export function createTurns(atOnce: number): Turns {
  const places = new Map<string, Place>()

  function giveOn(name: string, place: Place): void {
    const next = nextOf(place)
    if (next !== undefined) return next()
    place.busy--
    if (place.busy === 0) places.delete(name)
  }

  return {
    async take(name, work, quiet = false) {
      const place = places.get(name) ?? { busy: 0, waiting: [], quiet: [], wasQuiet: true }
      places.set(name, place)
      if (place.busy < atOnce) place.busy++
      else await new Promise<void>((resolve) => (quiet ? place.quiet : place.waiting).push(resolve))
      try {
        return await work()
      } finally {
        giveOn(name, place)
      }
    },
    quietAt: (name) => places.get(name)?.quiet.length ?? 0,
  }
}

function nextOf(place: Place): (() => void) | undefined {
  const isQuiet = place.quiet.length > 0 && (place.waiting.length === 0 || !place.wasQuiet)
  place.wasQuiet = isQuiet
  return (isQuiet ? place.quiet : place.waiting).shift()
}
