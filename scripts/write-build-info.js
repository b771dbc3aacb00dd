// Runs after `npm run build`: keeps what a package can no longer find out about itself.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const commit = execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], {
  cwd: root,
  encoding: 'utf8',
}).trim()
const buildDate = new Date().toISOString()
writeFileSync(`${root}dist/build.json`, `${JSON.stringify({ commit, buildDate })}\n`)
