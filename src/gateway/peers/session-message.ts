/*
 * What processes say to each other of the legacy sessions of their clients. Any request of a session may arrive at any
 * process, so each of them may know it; what only one of them holds, it is asked for.
 */

const WHAT = [
  /** The session is over. */
  'ended',
  /** Its log level or its subscriptions are others now. */
  'changed',
  /** `text`: a notification or a response of the client, for whoever it concerns. */
  'said',
  /** `text`: a message for the client; answered with a line by who has the session's stream. */
  'tell',
  /** `text`: the process that has the session's stream from here on; answered with a line when something was missed. */
  'streaming',
  /** Answered with a line by who has the session's stream. */
  'where',
  /** `text`: a `Last-Event-ID`; answered with what follows it, as long as its stream lasts. */
  'resume',
] as const

export interface SessionMessage {
  readonly do: (typeof WHAT)[number]
  /** Of the session. */
  readonly id: string
  readonly text: string
}

export const writeSessionMessage = (what: SessionMessage['do'], id: string, text = ''): string =>
  JSON.stringify({ do: what, id, text })

/** Undefined: not for us; a later version may say more. */
export function readSessionMessage(body: string): SessionMessage | undefined {
  const value = parse(body)
  if (typeof value !== 'object' || value === null) return undefined
  const { do: what, id, text } = value as Readonly<Record<string, unknown>>
  const known = WHAT.find((one) => one === what)
  if (known === undefined || typeof id !== 'string' || typeof text !== 'string') return undefined
  return { do: known, id, text }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
