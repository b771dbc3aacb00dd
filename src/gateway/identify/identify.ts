import type { IncomingMessage } from 'node:http'
import type { Authenticator, AuthRefusal } from '../../access/authenticate.ts'
import type { Authorizer } from '../../access/authorize.ts'
import { reachesAny } from '../../access/project-access.ts'
import { claimsModern, type Era } from '../../protocol/revisions.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import type { SnapshotSource } from '../snapshot.ts'
import type { CompileProject } from '../route/compiled-project.ts'

const OTHER_PROJECT: Refusal = {
  code: 'forbidden',
  hint: 'it belongs to another project',
  detail: 'other-project',
}
const NO_PROJECT: Refusal = {
  code: 'no_endpoint',
  hint: 'the project has been deleted, its name is misspelt, or you have no right to use it',
}
const NO_TOOLS: Refusal = {
  code: 'forbidden',
  hint: 'the token, or its owner, has no right to use the project; castellan auth can-i run projects says why',
  detail: 'no-right',
}

/** Who is calling, from the Authorization header alone. Runs before the body is read. */
export function createIdentify(
  authenticator: Authenticator,
): (x: Exchange) => Refusal | undefined | Promise<Refusal | undefined> {
  function identify(x: Exchange): Refusal | undefined {
    const found = authenticator.authenticate(x.request.headers.authorization, x.request.socket)
    if (!found.ok) return refusalOf(found.error)
    x.principal = found.value
    return undefined
  }
  const { prepare } = authenticator
  if (prepare === undefined) return identify
  return (x) => {
    const { headers, socket } = x.request
    const waiting = prepare(headers.authorization, { project: x.target.project, connection: socket })
    return waiting === undefined ? identify(x) : waiting.then(() => identify(x))
  }
}

const refusalOf = ({ reason }: AuthRefusal): Refusal =>
  reason === 'unavailable'
    ? { code: 'unavailable', hint: AWAY, detail: reason }
    : { code: 'unauthenticated', detail: reason, hint: HINT }

const AWAY = 'who knows the callers cannot be asked: the control plane does not answer; try again'

const HINT = 'send Authorization: Bearer <token>; castellan create token NAME -p PROJECT makes one'

/** A modern request says what it is in a header as well, or it is refused for that once its body is read. */
const eraOf = ({ headers }: IncomingMessage): Era =>
  claimsModern(String(headers['mcp-protocol-version'] ?? '')) ? 'modern' : 'legacy'

export interface EnterDeps {
  readonly snapshot: SnapshotSource
  readonly authorizer: Pick<Authorizer, 'project'>
  readonly compile: CompileProject
}

/**
 * Whether this principal may use anything of this endpoint. Of what they may not use they do not learn whether it
 * exists: a token hears the same of every project but its own, everybody else the same as of one that is not there.
 */
export function createEnter({
  snapshot,
  authorizer,
  compile,
}: EnterDeps): (x: Exchange) => Refusal | undefined {
  return (x) => {
    const { project: name, server } = x.target
    const principal = need(x.principal, 'principal')
    x.access = authorizer.project(principal, name)
    if (x.access === undefined && principal.kind === 'token')
      return principal.project === name ? NO_TOOLS : OTHER_PROJECT
    const viewer = snapshot.viewer(name, principal.key, eraOf(x.request))
    const view = snapshot.current().project(name, viewer)
    if (view === undefined || x.access === undefined) return NO_PROJECT
    if (!reachesAny(x.access, view.servers)) return principal.kind === 'token' ? NO_TOOLS : NO_PROJECT
    const project = compile(view)
    if (server !== undefined && !(project.servers.has(server) && x.access.reaches(server))) {
      return {
        code: 'no_endpoint',
        hint: 'no server of the project has that name, or you have no right to use it',
      }
    }
    x.project = project
    return undefined
  }
}
