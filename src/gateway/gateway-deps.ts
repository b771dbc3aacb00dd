import type { Authenticator } from '../access/authenticate.ts'
import type { Authorizer } from '../access/authorize.ts'
import type { ProjectAccess } from '../access/project-access.ts'
import type { Recorder } from '../audit/entry.ts'
import type { Clock } from '../lib/clock.ts'
import type { BootEpoch } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import type { Implementation } from '../protocol/envelope.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { SessionStore } from './classify/session.ts'
import type { UpstreamSessionLog } from './forward/http/upstream-sessions.ts'
import type { ConnectDesk } from './connections.ts'
import type { GrantSource } from './inject/grants.ts'
import type { Peers } from './peers.ts'
import type { SnapshotSource } from './snapshot.ts'

/** What the gateway needs of the rest; `main/serve.ts` brings it together. */
export interface GatewayDeps {
  readonly snapshot: SnapshotSource
  readonly authenticator: Authenticator
  readonly authorizer: Pick<Authorizer, 'project'>
  readonly recorder: Recorder
  readonly sessions: SessionStore
  /** Where our sessions at servers are remembered. */
  readonly upstreamSessions: UpstreamSessionLog
  /** What a principal, by its key, may use of a project at this moment; undefined: it may no longer be here. */
  readonly accessOf: (principal: string, project: string) => ProjectAccess | undefined
  readonly runtime: Runtime
  readonly clock: Clock
  readonly epoch: BootEpoch
  /** Seals what modern clients carry between the rounds of a call; the same in all processes of one database. */
  readonly stateKey: Buffer
  /** Other processes on the same database. */
  readonly peers: Peers
  readonly log: Log
  /** How we introduce ourselves to clients and servers. */
  readonly us: Implementation
  /** Tokens that others have issued to us, for the servers that they are for. */
  readonly grants: GrantSource
  /** Where people connect accounts of their own. */
  readonly desk: ConnectDesk
  /** Host names under which the daemon is known besides loopback. */
  readonly hostNames: readonly string[]
}
