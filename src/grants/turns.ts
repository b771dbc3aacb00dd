/** Lets so many at a time do something at one place; the others wait in the order in which they came. */
export interface Turns {
  take<T>(place: string, work: () => Promise<T>): Promise<T>
}

interface Place {
  busy: number
  readonly waiting: (() => void)[]
}

export function createTurns(atOnce: number): Turns {
  const places = new Map<string, Place>()

  function giveOn(name: string, place: Place): void {
    const next = place.waiting.shift()
    if (next !== undefined) return next()
    place.busy--
    if (place.busy === 0) places.delete(name)
  }

  return {
    async take(name, work) {
      const place = places.get(name) ?? { busy: 0, waiting: [] }
      places.set(name, place)
      if (place.busy < atOnce) place.busy++
      else await new Promise<void>((resolve) => place.waiting.push(resolve))
      try {
        return await work()
      } finally {
        giveOn(name, place)
      }
    },
  }
}
