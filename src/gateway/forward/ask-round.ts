import { randomUUID } from 'node:crypto'
import { toClientRequestParams, type InputRequest } from '../../protocol/bridge/input-required.ts'
import type { WayToClient } from '../reply/ask/ask-client.ts'

/** What a legacy client gave for one round of a modern server; `refused`: it gave an error for something needed. */
export type RoundAnswers = ReadonlyMap<string, string> | 'refused'

export interface AskedRound {
  readonly answers: Promise<RoundAnswers>
  /** Nobody waits for the answers any more. */
  readonly takeBack: () => void
}

/** Asks a legacy client everything of one round at once, by real requests on the stream of its call. */
export function askRound(
  { asker, session, say, answerMs }: WayToClient,
  requests: readonly InputRequest[],
): AskedRound {
  const taking: (() => void)[] = []
  const answers = new Promise<RoundAnswers>((resolve) => {
    const given = new Map<string, string>()
    for (const { key, method, params } of requests) {
      const settled = (body: string): void => {
        const result = resultIn(body) ?? (method === 'elicitation/create' ? CANCELLED : undefined)
        if (result === undefined) return resolve('refused')
        given.set(key, result)
        if (given.size === requests.length) resolve(given)
      }
      const own = method === 'elicitation/create' ? toClientRequestParams(params, randomUUID()) : params
      taking.push(asker.ask(session, { method, params: own, answerMs, settled }, say))
    }
  })
  return {
    answers,
    takeBack() {
      for (const take of taking) take()
    },
  }
}

/** An error to an elicitation says that nobody will answer it. */
const CANCELLED = '{"action":"cancel"}'

const RESULT = '"result":'
const resultIn = (body: string): string | undefined =>
  body.startsWith(`${RESULT}{`) ? body.slice(RESULT.length) : undefined
