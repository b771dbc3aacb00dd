import { hash } from 'node:crypto'
import { Fault } from '../../lib/fault.ts'
import type { ApplyOptions, Changed } from '../change/change.ts'
import type { KeptAnswer, KeptAnswers, OnceRequest } from '../change/kept-answers.ts'
import type { Body } from './body.ts'
import { json, type Call } from './route.ts'

export const IDEMPOTENCY_KEY = {
  'Idempotency-Key':
    '1 to 255 visible characters of your own making: for 24 hours the same request with it is done once and answered alike.',
}

/** Says whether the answer is the one that was given before. */
const REPEATED = 'idempotency-replayed'

class AnsweredBefore extends Error {
  override readonly name = 'AnsweredBefore'
  readonly answer: KeptAnswer

  constructor(answer: KeptAnswer) {
    super('this request was answered before')
    this.answer = answer
  }
}

export interface Doing {
  readonly body: Body
  /** Makes the change. */
  readonly change: (options: Pick<ApplyOptions, 'once'>) => Promise<readonly Changed[]>
  /** Reads nothing but its argument: it may run within the transaction. */
  readonly answer: (changed: readonly Changed[]) => Promise<KeptAnswer>
}

/**
 * Does what a request with an `Idempotency-Key` asks for once, however often it comes, and gives all of them the same
 * answer. Requests that were refused have done nothing, so they are tried again.
 *
 * @throws Fault `invalid`, `key_reused`
 */
export async function onceOnly(
  { answers }: { readonly answers: KeptAnswers },
  call: Call,
  { body, change, answer }: Doing,
): Promise<Response> {
  const request = onceRequest(call, body)
  if (request === undefined) return respond(await answer(await change({})))
  let kept: KeptAnswer | undefined
  const once: ApplyOptions['once'] = {
    async check(db) {
      const before = await answers.find(db, request)
      if (before !== undefined) throw new AnsweredBefore(before)
    },
    async keep(tx, changed) {
      kept = await answer(changed)
      await answers.keep(tx, request, kept)
    },
  }
  try {
    const changed = await change({ once })
    return respond(kept ?? (await answer(changed)))
  } catch (thrown) {
    if (!(thrown instanceof AnsweredBefore)) throw thrown
    const response = respond(thrown.answer)
    response.headers.set(REPEATED, 'true')
    return response
  }
}

function respond({ status, etag, body }: KeptAnswer): Response {
  const response = json(undefined, status)
  if (etag !== undefined) response.headers.set('etag', etag)
  return new Response(body, { status, headers: response.headers })
}

function onceRequest({ request, principal }: Call, { text }: Body): OnceRequest | undefined {
  const key = request.headers.get('idempotency-key')
  if (key === null) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new Fault('invalid', { problems: ['Idempotency-Key: must be 1 to 255 visible ASCII characters'] })
  const { pathname, searchParams } = new URL(request.url)
  searchParams.sort()
  const digest = hash(
    'sha256',
    JSON.stringify([request.method, pathname, searchParams.toString(), text]),
    'hex',
  )
  const who = principal.kind === 'subject' ? `${principal.actor.key} ${principal.key}` : principal.key
  return { principal: who, key, digest }
}
