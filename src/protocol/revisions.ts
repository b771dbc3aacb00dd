/** The protocol revisions on the wire, and the two eras they fall into (design: "Era"). */

export type Era = 'legacy' | 'modern'

export const MODERN_REVISIONS = ['2026-07-28'] as const
export const LATEST_MODERN = '2026-07-28'

/** Newest first. `2024-10-07` exists on the wire too and is served as 2024-11-05. */
const LEGACY_REVISIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const
export const LATEST_LEGACY = '2025-11-25'

export const isModernRevision = (version: string): boolean =>
  (MODERN_REVISIONS as readonly string[]).includes(version)

export const isLegacyRevision = (version: string): boolean =>
  (LEGACY_REVISIONS as readonly string[]).includes(version) || version === '2024-10-07'

/** Revisions are dates, so they compare as strings; whatever is newer than the last legacy one claims to be modern. */
export const claimsModern = (version: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(version) && version > LATEST_LEGACY

/** The revision that `initialize` is answered with: the client's own if we know it, else our newest (MCP lifecycle). */
export const negotiateLegacy = (offered: string): string =>
  isLegacyRevision(offered) ? offered : LATEST_LEGACY

/** Only one revision has JSON-RPC batches; the next one took them out again. */
export const takesBatches = (version: string): boolean => version === '2025-03-26'
