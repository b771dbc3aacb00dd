import { alignColumns, oneLine } from './format.ts'
import { durationText } from './duration.ts'

export interface KeyReport {
  readonly keys: readonly KeyLine[]
  /** Those that live. */
  readonly daemons: readonly KeyDaemon[]
  /** While one key takes the place of another. */
  readonly rotation?: KeyRotation | undefined
}

export interface KeyLine {
  readonly id: string
  readonly state: 'in-use' | 'next' | 'replaced' | 'retired'
  /** Absent: that was not noted. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  /** How many values it has sealed, by what they are. */
  readonly values: Readonly<Record<string, number>>
}

export interface KeyDaemon {
  /** The name of its host. */
  readonly host: string
  readonly source: string
  /** The key that it starts with the next time; `''`: it has not said. */
  readonly startsWith: string
}

export interface KeyRotation {
  readonly oldKey: string
  readonly newKey: string
  readonly phase: 'announced' | 'sealing'
  readonly begunAtMs: number
  /** Values that the old key has sealed. */
  readonly left: number
  /** Those of them that do not open with it. Absent: this daemon is not the one that tries. */
  readonly shut?: number | undefined
}

/** Keys, then daemons, then what is under way. */
export function renderKeys({ keys, daemons, rotation }: KeyReport, nowMs: number): string {
  const ago = (ms: number | undefined): string =>
    ms === undefined ? '-' : `${durationText(Math.max(0, nowMs - ms) / 1000)} ago`
  const keyTable = alignColumns([
    ['KEY', 'STATE', 'SINCE', 'UNTIL', 'VALUES'],
    ...keys.map(({ id, state, sinceMs, untilMs, values }) => [
      id,
      state,
      ago(sinceMs),
      ago(untilMs),
      valuesText(values),
    ]),
  ])
  const daemonTable = alignColumns([
    ['HOST', 'SOURCE', 'STARTS WITH'],
    ...daemons.map(({ host, source, startsWith }) => [oneLine(host, 40), source, startsWith || '-']),
  ])
  return [keyTable, daemonTable, ...(rotation === undefined ? [] : [rotationText(rotation, daemons)])].join(
    '\n',
  )
}

const valuesText = (values: KeyLine['values']): string => {
  const some = Object.entries(values).filter(([, count]) => count > 0)
  return some.length === 0 ? '-' : some.map(([what, count]) => `${count} ${what}`).join(', ')
}

function rotationText({ oldKey, newKey, left, shut }: KeyRotation, daemons: readonly KeyDaemon[]): string {
  const behind = daemons.filter(({ startsWith }) => startsWith !== newKey)
  const lines = [
    `${newKey} takes the place of ${oldKey}: ${left} values are to be sealed anew`,
    ...((shut ?? 0) > 0
      ? [`${shut} values do not open: the log names them; set them again, or delete them`]
      : []),
    ...behind.map(
      ({ host, source }) =>
        `${oneLine(host, 40)} still starts with another key (${source}): give it the new one there`,
    ),
  ]
  return lines.map((line) => `${line}\n`).join('')
}
