import type { Authenticator } from '../../access/authenticate.ts'
import { authorize } from '../../access/authorize.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import type { SnapshotSource } from '../snapshot.ts'
import type { CompileProject } from '../route/compiled-project.ts'

/** Who is calling, from the Authorization header alone. Runs before the body is read. */
export function createIdentify(authenticator: Authenticator): (x: Exchange) => Refusal | undefined {
  return (x) => {
    const found = authenticator.authenticate(x.request.headers.authorization, x.request.socket)
    if (!found.ok) return { code: 'unauthenticated', detail: found.error.reason, hint: HINT }
    x.principal = found.value
    return undefined
  }
}

const HINT = 'send Authorization: Bearer <token>; castellan create token NAME -p PROJECT makes one'

/** Whether this principal may use this endpoint at all; a token learns nothing of other projects, not even that they exist. */
export function createEnter(
  snapshot: SnapshotSource,
  compile: CompileProject,
): (x: Exchange) => Refusal | undefined {
  return (x) => {
    const { project: name, server } = x.target
    const denial = authorize(need(x.principal, 'principal'), { use: 'mcp', project: name })
    if (denial !== undefined)
      return { code: 'forbidden', hint: 'it belongs to another project', detail: denial.reason }
    const view = snapshot.current().project(name)
    if (view === undefined)
      return { code: 'no_endpoint', hint: 'the project has been deleted, or its name is misspelt' }
    const project = compile(view)
    if (server !== undefined && !project.servers.has(server)) {
      return { code: 'no_endpoint', hint: 'no server of the project has that name' }
    }
    x.project = project
    return undefined
  }
}
