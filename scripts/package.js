// Makes the package that is published: `node scripts/package.js FOLDER` builds into FOLDER/package and packs that, so
// that neither the checkout nor its package.json is touched. Publish with: npm publish FOLDER/castellan-*.tgz
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [given] = process.argv.slice(2)
if (given === undefined) {
  process.stderr.write('error: name the folder for the package: npm run package -- FOLDER\n')
  process.exit(2)
}
const out = resolve(given)
const stage = join(out, 'package')

/** What only a checkout needs: its tools, its scripts, and the Node that it brings along. */
function publishedManifest(manifest) {
  const {
    private: _private,
    scripts: _scripts,
    devDependencies: _tools,
    allowScripts: _allow,
    ...kept
  } = manifest
  const optional = Object.entries(kept.optionalDependencies ?? {}).filter(
    ([name]) => !name.startsWith('node-'),
  )
  const { optionalDependencies: _nodes, ...rest } = kept
  return optional.length === 0 ? rest : { ...rest, optionalDependencies: Object.fromEntries(optional) }
}

function run(command, args, cwd) {
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) process.exit(status ?? 1)
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
rmSync(stage, { recursive: true, force: true })
mkdirSync(stage, { recursive: true })
const dist = join(stage, 'dist')
const tsc = join(root, 'node_modules/typescript/bin/tsc')
run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', dist], root)
run(process.execPath, [join(root, 'scripts/write-build-info.js'), dist], root)
for (const file of manifest.files)
  if (file !== 'dist' && existsSync(join(root, file)))
    cpSync(join(root, file), join(stage, file), { recursive: true })
writeFileSync(join(stage, 'package.json'), `${JSON.stringify(publishedManifest(manifest), null, 2)}\n`)
run('npm', ['pack', '--loglevel=error', '--pack-destination', out], stage)
