// Runs after `tsc`: keeps what a package can no longer find out about itself, for `castellan version`.
// `node scripts/write-build-info.js [DIST]`; default: `dist/` of the checkout.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildInfo } from '../src/main/version.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = resolve(process.argv[2] ?? join(root, 'dist'))
const { commit } = buildInfo(root)
// The same source gives the same package: https://reproducible-builds.org/specs/source-date-epoch/
const epoch = process.env['SOURCE_DATE_EPOCH']
const at = epoch === undefined || epoch === '' ? new Date() : new Date(Number(epoch) * 1000)
writeFileSync(join(dist, 'build.json'), `${JSON.stringify({ commit, buildDate: at.toISOString() })}\n`)
