/** A number of places; who finds none free waits for one. */
export interface Places {
  take<T>(work: () => Promise<T>): Promise<T>
}

export function createPlaces(count: number): Places {
  let free = count
  const waiting: (() => void)[] = []
  return {
    async take(work) {
      if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
      else free -= 1
      try {
        return await work()
      } finally {
        // Handed on, so that nobody who comes now is before somebody who waits.
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}
