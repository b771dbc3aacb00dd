import { resources } from './control-0001-resources.ts'
import { masterKey } from './control-0002-master-key.ts'
import { revisionNotice } from './control-0003-revision-notice.ts'
import { grants } from './control-0004-grants.ts'
import { answers } from './control-0005-answers.ts'
import { grantHolders } from './control-0006-grant-holders.ts'
import { keys } from './control-0007-keys.ts'
import type { Migration } from './migration.ts'
import { sessions } from './state-0001-sessions.ts'
import { peers } from './state-0002-peers.ts'
import { upstreamSessions } from './state-0003-upstream-sessions.ts'
import { leases } from './state-0004-leases.ts'
import { peerHosts } from './state-0005-peer-hosts.ts'
import { signInAttempts } from './state-0006-sign-in-attempts.ts'
import { grantAttempts } from './state-0007-grant-attempts.ts'

/* A migration's number is its position, from 1; its file is named after it. New ones are added at the end. */

export const CONTROL_MIGRATIONS: readonly Migration[] = [
  resources,
  masterKey,
  revisionNotice,
  grants,
  answers,
  grantHolders,
  keys,
]
export const STATE_MIGRATIONS: readonly Migration[] = [
  sessions,
  peers,
  upstreamSessions,
  leases,
  peerHosts,
  signInAttempts,
  grantAttempts,
]
