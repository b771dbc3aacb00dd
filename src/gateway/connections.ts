/** Where people connect accounts of their own; `main` brings it. */
export interface ConnectDesk {
  /** A page for this person and nobody else; undefined: there is none here. */
  link(wanted: ConnectionWanted): Promise<ConnectLink | undefined>
  /** Resolves true once they have connected it, at whichever process; false after the wait. */
  connected(wanted: ConnectionWanted, waitMs: number): Promise<boolean>
}

/** An account of one person at one Server. */
export interface ConnectionWanted {
  readonly server: string
  /** Whose: as `ServerView.holder` has it. */
  readonly holder: string
}

export interface ConnectLink {
  /** The same for as long as the page is good. */
  readonly id: string
  readonly url: string
}

export const NO_DESK: ConnectDesk = {
  link: () => Promise.resolve(undefined),
  connected: () => Promise.resolve(false),
}
