const PAUSES_MS = [1000, 2000, 5000, 15_000, 60_000] as const

/** How long to wait before a stream that broke is opened again, after so many tries in a row. */
export const feedPauseMs = (tries: number): number => PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 0
