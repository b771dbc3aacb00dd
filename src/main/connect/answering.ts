import { asFault, toHttp, type Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import type { Answer } from '../http-front.ts'
import { faultPage } from './views.ts'

/** What goes wrong is a page too. Never rejects. */
export async function answering(log: Log, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work()
  } catch (thrown) {
    const fault = asFault(thrown)
    if (fault.code === 'internal') log.error({ err: thrown }, 'a page met a bug')
    return faultPage(statusOf(fault), said(fault))
  }
}

/** What a fault says to people: nothing in it repeats what came. */
export const said = ({ message, problems, hint }: Fault): readonly string[] =>
  problems.length > 0 ? problems : [hint ?? message]

export const statusOf = (fault: Fault): number => toHttp(fault).status
