import type { AuditRecorder } from '../audit/recorder.ts'
import type { DaemonStatus, LogRequest, LogSource, StatusSource } from '../control/api/sources.ts'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { GatewayStatus } from '../gateway/status.ts'
import type { References } from '../secrets/backends/follow-references.ts'
import { followLog, readLog } from '../runtime/log-file.ts'
import { serverLogPath } from '../runtime/server-log.ts'
import { daemonLogPath } from './daemon-log.ts'
import { secretStatus } from './secret-status.ts'

export interface StatusSourceDeps {
  readonly snapshot: SnapshotSource
  readonly gateway: GatewayStatus
  readonly references: Pick<References, 'seen'>
  readonly daemon: () => DaemonStatus
}

/** What the control API asks of the running daemon. */
export const createStatusSource = ({
  snapshot,
  gateway,
  references,
  daemon,
}: StatusSourceDeps): StatusSource => ({
  server(name) {
    const view = snapshot.current().server(name)
    return view === undefined ? undefined : gateway.server(view)
  },
  project(name) {
    const view = snapshot.current().project(name)
    return view === undefined ? undefined : gateway.project(view)
  },
  secret: (secret) => secretStatus(references, secret),
  daemon,
})

export const createLogSource = (home: string): LogSource => ({
  daemon: (request) => logLines(daemonLogPath(home), request),
  server: (name, request) => logLines(serverLogPath(home, name), request),
})

async function* logLines(path: string, { tail, follow, signal }: LogRequest): AsyncGenerator<string> {
  const lines = follow ? followLog(path, { tail, signal }) : await readLog(path, { tail })
  for await (const line of lines) yield `${line}\n`
}

/** Whether calls can be recorded, in a few words. */
export function auditState(recorder: AuditRecorder): string {
  const { failing, committedEntries, lostEntries } = recorder.stats()
  if (failing !== undefined)
    return `failing since ${new Date(failing.sinceMs).toISOString()}: ${failing.reason}; calls are refused`
  return lostEntries > 0
    ? `ok, ${lostEntries} entries were lost`
    : `ok, ${committedEntries} entries since the start`
}

/** A database as people may see it: no user, no password. */
export function databaseLabel(url: string | undefined): string {
  if (url === undefined) return 'sqlite'
  const { hostname, port, pathname } = new URL(url)
  return `postgres ${hostname}${port === '' ? '' : `:${port}`}${pathname}`
}
