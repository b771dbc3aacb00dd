import { writeSync } from 'node:fs'
import { KEY, openRenewer } from './credentials-renewer.ts'

/* Run as a child, which is killed at any point: renews one grant over and over, and says so. */

const [home = '', database = ''] = process.argv.slice(2)
const { grants } = await openRenewer(home, database)
for (;;) {
  const report = await grants.refresh(KEY)
  writeSync(1, report?.state === 'ready' ? 'renewed\n' : `${JSON.stringify(report)}\n`)
}
