import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createControlApi, type ControlApiDeps } from '../control/api/control-api.ts'
import { createChanges, type ChangesDeps } from '../control/change/change.ts'
import { createKeptAnswers } from '../control/change/kept-answers.ts'

export interface ControlListenerDeps
  extends Omit<ControlApiDeps, 'changes' | 'answers'>, Pick<ChangesDeps, 'store' | 'sealer'> {
  readonly snapshot: ControlApiDeps['snapshot'] & ChangesDeps['snapshot']
}

/** The control API on Node's own requests. Loaded with the first of them: a daemon is ready without it. */
export function createControlListener(
  deps: ControlListenerDeps,
): (request: IncomingMessage, response: ServerResponse) => void {
  const api = createControlApi({ ...deps, changes: createChanges(deps), answers: createKeptAnswers(deps) })
  const listener = getRequestListener(
    (request, env) => api.fetch(request, { source: env.incoming.socket.remoteAddress ?? 'unknown' }),
    { overrideGlobalObjects: false },
  )
  return (request, response) => void listener(request, response)
}
