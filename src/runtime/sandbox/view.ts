import { depthOf, isWithin } from './paths.ts'

/** One thing laid over the host's tree. `shadow`: an empty folder or file, so that what is there cannot be seen. */
export type Layer =
  | { readonly kind: 'shadow'; readonly path: string; readonly of: 'directory' | 'file' }
  | { readonly kind: 'scratch'; readonly path: string }
  | { readonly kind: 'home'; readonly path: string; readonly source: string }
  | { readonly kind: 'host'; readonly path: string; readonly source: string; readonly write: boolean }

/**
 * What a confined process sees: the host's tree, read-only, under layers. A deeper layer lies on top of a shallower
 * one, whatever the order in which they were added; of two at the same path the later one counts.
 */
export interface View {
  add(layer: Layer): void
  /** The layer that decides what is at `path`; undefined: the host's own tree. */
  over(path: string): Layer | undefined
  /** Whether the process finds at `path` what the host has there. */
  shows(path: string): boolean
  /** In the order in which they are to be mounted. */
  layers(): readonly Layer[]
}

export function createView(): View {
  const byPath = new Map<string, Layer>()

  const over = (path: string): Layer | undefined => {
    let best: Layer | undefined
    for (const layer of byPath.values()) {
      if (!isWithin(path, layer.path)) continue
      if (best === undefined || layer.path.length > best.path.length) best = layer
    }
    return best
  }

  return {
    add: (layer) => {
      byPath.set(layer.path, layer)
    },
    over,
    shows: (path) => {
      const layer = over(path)
      return layer === undefined || (layer.kind === 'host' && layer.source === layer.path)
    },
    layers: () => [...byPath.values()].sort((a, b) => depthOf(a.path) - depthOf(b.path)),
  }
}
