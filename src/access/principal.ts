/** Who is calling. Always passed on explicitly; there is no current or default principal (law 3). */
export type Principal = LocalAdmin | TokenPrincipal

/** The holder of the 0600 credential file in the home: whoever may read the daemon's home may administer it. */
export interface LocalAdmin {
  readonly kind: 'local-admin'
  /** Identity in records, caches and session bindings. */
  readonly key: 'local-admin'
  readonly name: 'local-admin'
}

export interface TokenPrincipal {
  readonly kind: 'token'
  /** `token:<uid>` */
  readonly key: `token:${string}`
  readonly uid: string
  readonly name: string
  /** The only project it may touch. */
  readonly project: string
}
