import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { createControlApi, type ControlApiDeps } from '../control/api/control-api.ts'
import { createChanges, type ChangesDeps } from '../control/change/change.ts'
import { createKeptAnswers } from '../control/change/kept-answers.ts'
import { openProviders } from '../grants/providers/registry.ts'
import { createGrantTester, type GrantTesterDeps } from './grant-tester.ts'
import type { ConnectPages } from './connect/connect-pages.ts'
import { openPages, type PagesDeps } from './connect/open-pages.ts'
import type { Answer, FrontDeps } from './http-front.ts'
import { browserPage } from './sign-in/callback.ts'
import { endExpired } from './sign-in/issue.ts'
import { openSignIn, type SignInDeps } from './sign-in/open-sign-in.ts'

export interface ControlListenerDeps
  extends
    Omit<ControlApiDeps, 'changes' | 'answers' | 'signIns' | 'backends' | 'providers' | 'tester' | 'grants'>,
    Omit<SignInDeps, 'changes' | 'snapshot'> {
  readonly grants: ControlApiDeps['grants'] & GrantTesterDeps['grants'] & PagesDeps['grants']
  readonly home: string
  /** Of the daemon: what programs that it asks are given a part of. */
  readonly env: GrantTesterDeps['env']
  readonly backends: ControlApiDeps['backends'] & ChangesDeps['backends']
  readonly snapshot: ControlApiDeps['snapshot'] &
    ChangesDeps['snapshot'] &
    SignInDeps['snapshot'] &
    PagesDeps['snapshot']
}

export interface ControlListener {
  handle(request: IncomingMessage, response: ServerResponse): void
  /** What a browser is shown that comes back from an identity provider. */
  signInAnswered(answer: URLSearchParams, request: IncomingMessage): Promise<Answer>
  readonly pages: Pick<ConnectPages, 'handle'> & { readonly callback: FrontDeps['callback'] }
  /** Ends sign-ins whose time is over. */
  endExpired(): Promise<void>
  close(): Promise<void>
}

/** The control API on Node's own requests. Loaded with the first of them: a daemon is ready without it. */
export function createControlListener(deps: ControlListenerDeps): ControlListener {
  const changes = createChanges(deps)
  const signIns = openSignIn({ ...deps, changes })
  const answers = createKeptAnswers(deps)
  const providers = openProviders(join(deps.home, 'providers'))
  const tester = createGrantTester({ grants: deps.grants, snapshot: deps.snapshot, providers, env: deps.env })
  const api = createControlApi({ ...deps, changes, answers, signIns, providers, tester })
  const pages = openPages({ ...deps, key: deps.signInKey, signIns, providers, record: api.record })
  const listener = getRequestListener(
    (request, env) => api.fetch(request, { source: env.incoming.socket.remoteAddress ?? 'unknown' }),
    { overrideGlobalObjects: false },
  )
  return {
    handle: (request, response) => void listener(request, response),
    async signInAnswered(answer, request) {
      const back = await signIns.answered(answer)
      return back.kind === 'page' ? pages.returned(request, back) : browserPage(back)
    },
    pages,
    endExpired: () => endExpired({ changes, snapshot: deps.snapshot, nowMs: deps.clock.nowMs }),
    async close() {
      await Promise.all([signIns.close(), tester.close()])
    },
  }
}
