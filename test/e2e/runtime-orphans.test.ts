import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  fixtures,
  makePlace,
  type Place,
  processesWith,
  sandboxes,
  specOf,
  waitFor,
} from './runtime-harness.ts'

let place: Place
beforeEach(() => {
  place = makePlace()
})
afterEach(() => place.remove())

describe.each(sandboxes)('kill -9 of the daemon (%s)', (kind) => {
  test('takes the server along, and a child of it in a group of its own', async () => {
    const mark = `orphan-${process.pid}-${kind}`
    const options = { home: place.home, userHome: place.userHome, forceSandbox: kind }
    const spec = specOf('stdio-probe.js')
    const about = { options, spec: { ...spec, args: [...spec.args, mark] }, mark }
    const parent = spawn(process.execPath, [join(fixtures, 'stdio-parent.js'), JSON.stringify(about)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: parent.stdout })
    await new Promise((resolve) => lines.once('line', resolve))
    const servers = processesWith(mark).filter((pid) => pid !== parent.pid)
    // The server, its child, and the sandbox around them.
    expect(servers.length).toBeGreaterThanOrEqual(2)
    parent.kill('SIGKILL')
    await waitFor(() => processesWith(mark).filter(isAlive).length === 0, 'every process gone')
  })
})

/** A process that nobody has waited for yet is dead all the same. */
function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')
  } catch {
    return false
  }
}
