import { setAside } from './set-aside.ts'

/**
 * `castellan audit set-aside`: puts a record that does not verify out of the way, so that the daemon starts again.
 * @throws Fault `conflict` while a daemon writes the record, `not_found` when there is none
 */
export function runSetAside(command: {
  readonly home: string
  readonly nowMs: number
  readonly where: 'files' | 'database'
  readonly write: (text: string) => void
}): void {
  const folder = setAside(command.home, command.nowMs, command.where)
  command.write(`the audit record is now in ${folder}; the next start begins a new one, which names it\n`)
}
