// Runs before `npm start` and `npm test`, under whatever Node the machine has: installs what the lock file names where
// that is not there, so that the scripts themselves run under the project's own Node.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const WANTED_NODE = 24
const root = fileURLToPath(new URL('..', import.meta.url))
const ownNode = `${root}node_modules/.bin/node${process.platform === 'win32' ? '.cmd' : ''}`

/** Packages of a lock file by their folder; undefined where there is no such file, or half of one. */
function packagesIn(path) {
  try {
    return JSON.parse(readFileSync(`${root}${path}`, 'utf8')).packages
  } catch {
    return undefined
  }
}

const fits = (names, here) => names === undefined || names.includes(here)
const isForThisMachine = ({ os, cpu, libc }) =>
  fits(os, process.platform) && fits(cpu, process.arch) && (libc === undefined || fits(libc, ownLibc()))

let foundLibc
function ownLibc() {
  foundLibc ??= process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
  return foundLibc
}
const isThere = (folder) => existsSync(`${root}${folder}/package.json`)

/** Why an install is needed, in words; undefined when all is there. npm writes its own list when an install is complete. */
function reasonToInstall(wanted) {
  if (!existsSync(`${root}node_modules`)) return 'Installing what Castellan needs, once.'
  const installed = packagesIn('node_modules/.package-lock.json')
  if (installed === undefined) return 'An earlier install did not finish: installing again.'
  for (const [folder, { version, integrity, optional }] of wanted) {
    const found = installed[folder]
    if (found === undefined && optional) continue
    if (found?.version !== version || found.integrity !== integrity)
      return 'The lock file has changed since the last install: installing what it names.'
    if (!isThere(folder)) return 'Parts of the last install are missing: installing again.'
  }
  return undefined
}

/** Counts packages as npm unpacks them: npm itself says nothing until it is done. */
function showProgress(wanted) {
  const folders = wanted
    .filter(([, about]) => !about.optional || isForThisMachine(about))
    .map(([folder]) => folder)
  const moves = process.stderr.isTTY && process.env.TERM !== 'dumb'
  const began = Date.now()
  const show = () => {
    const count = folders.filter(isThere).length
    const filled = Math.round((count / folders.length) * 24)
    const seconds = `${Math.round((Date.now() - began) / 1000)} s`
    const text = `  ${'━'.repeat(filled)}${'─'.repeat(24 - filled)}  ${count} of ${folders.length} packages  ${seconds}`
    process.stderr.write(moves ? `\r\x1b[K${text}` : `${text}\n`)
  }
  const timer = setInterval(show, moves ? 200 : 5000)
  return () => {
    clearInterval(timer)
    if (moves) process.stderr.write('\r\x1b[K')
    return Math.round((Date.now() - began) / 1000)
  }
}

/** Runs `npm ci`; resolves with its exit status and what it wrote. */
function runNpm() {
  // npm runs under the machine's own Node: the one in node_modules is about to be replaced. Hence the warnings about
  // the engine, which this log level keeps quiet.
  const options = ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--prefer-offline', '--no-progress']
  const { npm_execpath: script, npm_node_execpath: node } = process.env
  const [command, args] = script && node ? [node, [script, ...options]] : ['npm', options]
  return new Promise((resolve) => {
    const output = []
    const npm = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: command === 'npm' && process.platform === 'win32',
    })
    npm.stdout.on('data', (chunk) => output.push(chunk))
    npm.stderr.on('data', (chunk) => output.push(chunk))
    npm.on('error', (error) => resolve({ status: 1, text: `npm error code ${error.code}` }))
    npm.on('close', (status, signal) =>
      resolve({ status: signal === 'SIGINT' ? 130 : (status ?? 1), text: Buffer.concat(output).toString() }),
    )
  })
}

// oxfmt-ignore
const REASONS = [
  [/\bcode (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/,
                             'the package registry cannot be reached: check the network, then npm config get registry and npm config get proxy'],
  [/\bcode E(401|403)\b/,     'the package registry refuses you: look at npm config get registry and your .npmrc'],
  [/\bcode E404\b/,           'the package registry lacks a package: look at npm config get registry'],
  [/\bcode EINTEGRITY\b/,     'a download is not what the lock file names: run npm cache clean --force and try again'],
  [/\bcode (ENOSPC|EDQUOT)\b/,'the disk is full: about 700 MB are needed'],
  [/\bcode (EACCES|EPERM|EROFS)\b/, 'this folder or the cache of npm cannot be written: look at who owns them'],
  [/\bcode ENOENT\b/,         'npm was not found, or a file vanished while it ran: try again'],
  [/CERT|SELF_SIGNED/,        'the certificate of the package registry is refused: NODE_EXTRA_CA_CERTS may name that of your company'],
]

function explain(text) {
  const [, reason] = REASONS.find(([pattern]) => pattern.test(text)) ?? []
  const last = text.trim().split('\n').slice(-12).join('\n')
  return reason === undefined
    ? `${last}\n\nnpm ci failed; its message is above.`
    : `Not installed: ${reason}.`
}

function fail(message, status) {
  process.stderr.write(`${message}\nNothing was started; run the same command again when that is done.\n`)
  process.exit(status)
}

/** Without it the machine's own Node runs the scripts, and that may be too old to read them. */
function checkNode() {
  if (
    existsSync(ownNode) &&
    spawnSync(ownNode, ['--version'], { shell: process.platform === 'win32' }).status === 0
  )
    return
  const own = spawnSync('node', ['--version'], { encoding: 'utf8' }).stdout ?? ''
  if (Number(/^v(\d+)/.exec(own)?.[1] ?? 0) >= WANTED_NODE) return
  fail(
    `Castellan needs Node ${WANTED_NODE}, and the one that it brings is not there for ${process.platform}-${process.arch}: install Node ${WANTED_NODE} or newer from https://nodejs.org.`,
    1,
  )
}

async function install(reason, wanted) {
  process.stderr.write(`${reason}\n`)
  let interrupted = false
  // The terminal sends it to npm as well: what npm says of it is not the last word.
  process.on('SIGINT', () => (interrupted = true))
  const endProgress = showProgress(wanted)
  const { status, text } = await runNpm()
  const seconds = endProgress()
  if (interrupted) fail('Interrupted.', 130)
  if (status !== 0) fail(explain(text), status)
  process.stderr.write(`Installed in ${seconds} s.\n`)
}

const wanted = Object.entries(packagesIn('package-lock.json') ?? {}).filter(([folder]) => folder !== '')
if (wanted.length === 0)
  fail('package-lock.json is missing or damaged: run git checkout package-lock.json.', 1)
const reason = reasonToInstall(wanted)
if (reason !== undefined) await install(reason, wanted)
if (reason !== undefined || Number(process.versions.node.split('.')[0]) < WANTED_NODE) checkNode()
