import type { Finding } from './findings.ts'
import type { VerifyReport } from './verify.ts'

export interface VerifyCommand {
  /** One report for each chain. */
  readonly verify: () => Promise<readonly VerifyReport[]>
  /** `text` for people, `json`: one object with all reports. Default text. */
  readonly output?: 'text' | 'json' | undefined
  readonly write: (text: string) => void
}

/**
 * `castellan audit verify`: reads the record, whether or not a daemon writes it.
 * @returns exit status: 0 everything is as it was written, 1 something is not
 */
export async function runVerify({ verify, output, write }: VerifyCommand): Promise<0 | 1> {
  const reports = await verify()
  const ok = reports.every((report) => report.ok)
  if (output === 'json') write(`${JSON.stringify({ ok, chains: reports })}\n`)
  else write(reports.map(printReport).join('\n'))
  return ok ? 0 : 1
}

function printReport(report: VerifyReport): string {
  const { segments, entries, archives, anchors, tip, lastAnchor, seen, findings } = report
  const lines = [
    `chain     ${report.chain}`,
    `checked   ${segments} segments with ${entries} entries, ${archives} archive files, ${anchors} anchors`,
    `tip       ${tip === undefined ? 'none' : `segment ${tip.seq}, ${time(tip.atMs)}`}`,
    `anchored  ${lastAnchor === undefined ? 'nothing yet' : `segment ${lastAnchor.seq}, ${time(lastAnchor.atMs)}`}`,
    ...(seen === undefined ? [] : [`seen      segment ${seen.seq}, by other chains: ${seen.by}`]),
    ...findings.map((finding) => `FAILED    ${printFinding(finding)}`),
    report.ok
      ? 'ok        nothing was changed, removed, reordered or cut off'
      : 'failed    see docs/audit.md',
  ]
  return `${lines.join('\n')}\n`
}

function printFinding({ what, segment, to, atMs, message }: Finding): string {
  const range = to === undefined || to === segment ? `segment ${segment}` : `segments ${segment} to ${to}`
  const where = [
    ...(segment === undefined ? [] : [range]),
    ...(atMs === undefined ? [] : [`about ${time(atMs)}`]),
  ]
  return `${what}${where.length === 0 ? '' : ` at ${where.join(', ')}`}: ${message}`
}

/** A record may hold any number where a time should be. */
const time = (ms: number): string =>
  Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : 'an impossible time'
