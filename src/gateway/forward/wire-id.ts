import type { BootEpoch } from '../../lib/id.ts'

/** Mints the JSON-RPC ids and progress tokens that we use towards upstreams (law 11: no id twice, over all our lives). */
export interface WireIds {
  /** JSON text of a string id: `"c<epoch>.<n>"`. */
  next(): string
}

export function createWireIds(epoch: BootEpoch): WireIds {
  let last = 0
  return { next: () => `"c${epoch}.${++last}"` }
}
