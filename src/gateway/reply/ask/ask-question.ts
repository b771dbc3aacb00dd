import { rawAt } from '../../../protocol/message.ts'
import type { Session } from '../../classify/session.ts'
import { decline, type Question } from '../../forward/upstream.ts'
import { canAsk, type ClientAsker, type WayToClient } from './ask-client.ts'
import type { SessionMail } from '../events/session-stream.ts'

/**
 * Puts the question of a legacy server to a legacy client, as it came; the answer goes back as it comes. What the client
 * has not said that it can be asked is declined for it.
 * @returns takes the question back from the client; undefined when it was not asked
 */
export function askQuestion(
  { asker, session, say, answerMs }: WayToClient,
  question: Question,
): (() => void) | undefined {
  const { request } = question
  const params = rawAt(request, 'params') ?? '{}'
  if (!canAsk(session.offer, request.method, params)) {
    decline(question)
    return undefined
  }
  return asker.ask(
    session,
    {
      method: request.method,
      params,
      answerMs,
      progressToken: rawAt(request, 'params/_meta/progressToken'),
      settled: (body) => question.answer(body),
      told: (notification) => question.tell(notification),
    },
    say,
  )
}

/** Questions that belong to no call but to a connection that is one session's own: asked on the session's stream. */
export interface SessionQuestions {
  /** @param session undefined: the connection is no session's, so there is nobody to ask */
  asked(session: Session | undefined, question: Question): void
  withdrawn(question: Question): void
}

export function createSessionQuestions(asker: ClientAsker, mail: SessionMail): SessionQuestions {
  const open = new WeakMap<Question, () => void>()
  return {
    asked(session, question) {
      if (session === undefined) return decline(question)
      const takeBack = askQuestion(
        { asker, session, say: (message) => mail.send(session, message) },
        question,
      )
      if (takeBack !== undefined) open.set(question, takeBack)
    },
    withdrawn(question) {
      open.get(question)?.()
    },
  }
}
