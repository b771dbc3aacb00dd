import type { SecretValue } from '../../../lib/secret-value.ts'

/** A session that we have at a legacy server. */
export interface UpstreamSession {
  readonly server: string
  readonly serverUid: string
  /** Where it was opened, as the Server's manifest says it; its id goes nowhere else. */
  readonly url: string
  readonly protocolVersion: string
  /** What the server knows it by: with our credentials, whoever has it speaks for us. */
  readonly id: SecretValue
}

/** Remembers the sessions that are open, for whoever has to end them when this process cannot. */
export interface UpstreamSessionLog {
  /**
   * Waits for nothing and never fails: the note is made a moment later.
   * @returns forgets it: for a session that has ended, or that its server has forgotten
   */
  opened(session: UpstreamSession): () => void
}
