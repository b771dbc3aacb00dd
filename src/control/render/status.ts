import type { Resource } from '../../kinds/define-kind.ts'
import { Project } from '../../kinds/project.ts'
import { Server } from '../../kinds/server.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import type { DaemonStatus, VersionInfo } from '../api/sources.ts'
import { durationText } from './duration.ts'
import { alignColumns, oneLine } from './format.ts'
import { renderGrants, type ShownGrant } from './grants.ts'
import { renderTable } from './table.ts'

/** What a daemon is made of, where it lies and who its peers are is for whoever may view it: `view daemon`. */
export interface StatusReport
  extends Partial<Omit<DaemonStatus, 'url'>>, Pick<DaemonStatus, 'url'>, Pick<VersionInfo, 'version'> {
  readonly uptimeSeconds: number
  readonly servers: readonly Resource[]
  readonly projects: readonly Resource[]
  /** Those that all share, and the caller's own. */
  readonly grants: readonly ShownGrant[]
}

/** The daemon, then a line for each server, project and grant. */
export function renderStatus(report: StatusReport, nowMs: number): string {
  const facts = alignColumns(
    [
      ['version', report.version],
      ['pid', report.pid?.toString()],
      ['uptime', durationText(report.uptimeSeconds)],
      ['url', report.url],
      ['home', report.home],
      ['database', report.database],
      ['audit', report.audit],
      ['sandbox', report.sandbox],
      ...(report.peers ?? []).map(({ host, url, state }) => ['peer', `${host} ${url} ${state}`.trimStart()]),
    ].flatMap(([name, value]) => (value === undefined ? [] : [[`${name}:`, oneLine(value)]])),
  )
  const table = (kind: unknown, resources: readonly Resource[]): string =>
    renderTable(kind as KindDefinition, resources, { wide: false })
  const grants = report.grants.length === 0 ? [] : [renderGrants(report.grants, nowMs, false)]
  return [facts, table(Server, report.servers), table(Project, report.projects), ...grants].join('\n')
}
