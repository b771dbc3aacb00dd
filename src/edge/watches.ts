import type { Clock } from '../lib/clock.ts'
import type { Caller } from './caller.ts'
import type { ControlPlane } from './control-plane.ts'
import type { Standing } from './standing.ts'

export interface WatchesDeps {
  readonly control: Pick<ControlPlane, 'watch'>
  readonly clock: Clock
  readonly heard: (caller: Caller, standing: Standing) => void
}

/** The streams on which the control plane tells at once what becomes of a credential. */
export interface Watches {
  /** Opens the one of a caller if there is none, and ends one that has fallen silent. */
  tend(caller: Caller): void
  end(caller: Caller): void
  readonly size: number
}

/** Each holds a connection to the control plane; all others are asked about every few seconds. */
const MAX_WATCHES = 2000
/** The control plane gives a sign of life every 1.5 s. */
const SILENT_MS = 5000
const PAUSES_MS = [500, 1000, 2000, 5000, 15_000] as const

export function createWatches({ control, clock, heard }: WatchesDeps): Watches {
  let size = 0

  function open(caller: Caller): void {
    size++
    let told = false
    const stream = control.watch(caller.bearer, caller.asksAbout, {
      alive() {
        // What happened before it said anything is not known by it.
        if (told) caller.heardTick = clock.tickMs()
      },
      standing(standing) {
        told = true
        caller.heardTick = clock.tickMs()
        caller.watchFailures = 0
        heard(caller, standing)
      },
      over: () => end(caller),
    })
    caller.watch = { openedTick: clock.tickMs(), close: () => stream.close() }
  }

  function end(caller: Caller): void {
    const { watch } = caller
    if (watch === undefined) return
    caller.watch = undefined
    size--
    const pause = PAUSES_MS[Math.min(caller.watchFailures++, PAUSES_MS.length - 1)] ?? 0
    caller.watchAgainTick = clock.tickMs() + pause
    watch.close()
  }

  return {
    tend(caller) {
      const tick = clock.tickMs()
      const { watch } = caller
      if (watch !== undefined && tick - Math.max(caller.heardTick, watch.openedTick) > SILENT_MS) end(caller)
      if (caller.watch === undefined && size < MAX_WATCHES && tick >= caller.watchAgainTick) open(caller)
    },
    end,
    get size() {
      return size
    },
  }
}
