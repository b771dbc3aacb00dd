/**
 * Whose a grant is: `''`, `local-admin`, or `user:`, `service-account:`, `project:` and a uid. By uid, never by name:
 * whoever is made again by the same name does not inherit what the other one was given.
 */
export type Holder = string

/** Everybody's who may use what names it. */
export const SHARED: Holder = ''

/** Whose a grant is to be, when a Server says so. */
export type Whose = 'shared' | 'per-user' | 'per-project' | 'caller'
