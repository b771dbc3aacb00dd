import { Fault, toJsonRpc, type JsonRpcFault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import { errorMessage } from '../protocol/json-rpc.ts'
import type { Exchange, Refusal } from './exchange.ts'
import type { Record } from './record/record.ts'
import type { Traffic } from './record/traffic.ts'
import type { Pipeline } from './steps.ts'

export interface RunnerDeps {
  readonly record: Record
  readonly traffic: Traffic
  readonly log: Log
}

/** Walks an exchange through the table; whatever happens ends in one answer and one record. */
export function createRunner(
  pipeline: Pick<Pipeline, 'head' | 'tail'>,
  { record, traffic, log }: RunnerDeps,
): (x: Exchange) => Promise<void> {
  const travel = async (x: Exchange): Promise<void> => {
    let refusal: Refusal | undefined
    try {
      refusal = await walk(pipeline, x)
    } catch (thrown) {
      log.error({ err: thrown, kind: x.kind, project: x.target.project }, 'a request met a bug')
      refusal = { code: 'internal', hint: 'the log of the daemon has the reason', cause: thrown }
    }
    if (refusal !== undefined) refuse(x, refusal, record)
    record.outcome(x)
    traffic.count(x)
  }
  return (x) =>
    travel(x).catch((thrown: unknown) => {
      log.error({ err: thrown, kind: x.kind }, 'a refusal met a bug')
      x.response.destroy()
    })
}

async function walk(
  { head, tail }: Pick<Pipeline, 'head' | 'tail'>,
  x: Exchange,
): Promise<Refusal | undefined> {
  let steps = head
  for (let i = 0; ; i++) {
    if (i === steps.length) {
      if (steps !== head) return undefined
      // From here on it is known what the request is.
      if (x.kind === 'unclassified') throw new TypeError('the step table does not classify')
      steps = tail[x.kind]
      i = 0
    }
    const done = steps[i]?.(x)
    // Most steps only look at memory; a promise for each would cost more than the step.
    const refusal = done instanceof Promise ? await done : done
    if (refusal !== undefined) return refusal
  }
}

function refuse(x: Exchange, refusal: Refusal, record: Record): void {
  record.refused(x, refusal)
  x.outcome ??= 'error'
  x.outcomeCode ??= refusal.code
  const fault = toJsonRpc(new Fault(refusal.code, refusal))
  const { status, error } = forEra(x, fault)
  // Only a request is answered with its id, and every 4xx with a body repeats it: some clients wait for it.
  const body =
    x.request.method === 'POST' ? errorMessage(x.message?.idText, error) : JSON.stringify({ error })
  x.out.answer(status, [body], headersFor(refusal, x))
}

/** Two codes differ by era: what is not there, and what a status says. */
function forEra(x: Exchange, fault: JsonRpcFault): JsonRpcFault {
  if (x.era === 'modern' && fault.error.code === -32002)
    return { ...fault, error: { ...fault.error, code: -32602 } }
  if (x.era === 'modern' && fault.error.code === -32601) return { ...fault, status: 404 }
  return fault
}

function headersFor(refusal: Refusal, x: Exchange): { readonly [name: string]: string } {
  if (refusal.code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="castellan"' }
  if (refusal.code === 'unavailable') return { 'retry-after': '1' }
  // The rest of a body that is too large is not read: the connection cannot be used again.
  if (refusal.code === 'too_large') return { connection: 'close' }
  return x.era === 'modern' && refusal.code === 'method_not_allowed' ? { allow: 'POST' } : {}
}
