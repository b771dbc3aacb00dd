import type { Upstream } from './upstream.ts'

/**
 * A server that asks without saying which call it is about can have only one such call at a time: the others wait for
 * their turn on that connection.
 */
export interface Turns {
  /**
   * @param waitMs how long to wait at most
   * @returns gives the turn on; undefined when it did not come in time
   */
  take(upstream: Upstream, waitMs: number): Promise<(() => void) | undefined>
}

interface Line {
  busy: boolean
  readonly waiting: Set<() => void>
}

const MAX_WAITING = 256

export function createTurns(): Turns {
  const lines = new WeakMap<Upstream, Line>()

  function lineOf(upstream: Upstream): Line {
    const line = lines.get(upstream) ?? { busy: false, waiting: new Set() }
    lines.set(upstream, line)
    return line
  }

  /** Harmless when called again. */
  function giveOn(line: Line): () => void {
    let over = false
    return () => {
      if (over) return
      over = true
      const [next] = line.waiting
      if (next === undefined) line.busy = false
      else {
        line.waiting.delete(next)
        next()
      }
    }
  }

  return {
    take(upstream, waitMs) {
      const line = lineOf(upstream)
      if (!line.busy) {
        line.busy = true
        return Promise.resolve(giveOn(line))
      }
      if (line.waiting.size >= MAX_WAITING) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        const turn = (): void => {
          clearTimeout(timer)
          resolve(giveOn(line))
        }
        const timer = setTimeout(() => {
          line.waiting.delete(turn)
          resolve(undefined)
        }, waitMs).unref()
        line.waiting.add(turn)
      })
    },
  }
}
