// Runs before `npm start` and `npm test`, under whatever Node the machine has: installs what the lock file names
// when that has not been done yet, so that the scripts themselves run under the project's own Node.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = `${root}node_modules/.castellan-lock`
const wanted = createHash('sha256')
  .update(readFileSync(`${root}package-lock.json`))
  .digest('hex')
const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''

if (installed !== wanted) {
  process.stderr.write('Installing dependencies (about a minute, once) …\n')
  // npm itself runs under the machine's Node, hence the engine warnings that `--loglevel=error` keeps quiet.
  const npm = spawnSync('npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (npm.status !== 0) {
    process.stderr.write('npm ci failed; its message is above. Nothing was started.\n')
    process.exit(npm.status ?? 1)
  }
  writeFileSync(stamp, wanted)
}
