import type { Resource } from '../../kinds/define-kind.ts'
import { Project } from '../../kinds/project.ts'
import { Server } from '../../kinds/server.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import type { DaemonStatus, VersionInfo } from '../api/sources.ts'
import { alignColumns, oneLine } from './format.ts'
import { renderTable } from './table.ts'

/** What a daemon is made of, where it lies and who its peers are is for whoever may view it: `view daemon`. */
export interface StatusReport
  extends Partial<Omit<DaemonStatus, 'url'>>, Pick<DaemonStatus, 'url'>, Pick<VersionInfo, 'version'> {
  readonly uptimeSeconds: number
  readonly servers: readonly Resource[]
  readonly projects: readonly Resource[]
}

/** The daemon, then a line for each server and project. */
export function renderStatus(report: StatusReport): string {
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
  return [facts, table(Server, report.servers), table(Project, report.projects)].join('\n')
}

/** `3d 4h`, `5m 12s`: the two largest units. */
export function durationText(seconds: number): string {
  const parts: string[] = []
  let rest = Math.max(0, Math.floor(seconds))
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0 || (unit === 's' && parts.length === 0)) parts.push(`${count}${unit}`)
  }
  return parts.slice(0, 2).join(' ')
}
