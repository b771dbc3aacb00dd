#!/usr/bin/env node
// Runs under any Node from 14 on: it finds one that is new enough, or says what to do. Plain JavaScript for that
// reason, with no syntax and no module that older versions lack.
import { existsSync } from 'fs'
import * as moduleApi from 'module'
import { homedir } from 'os'
import { join } from 'path'
import { fileURLToPath, pathToFileURL } from 'url'

const WANTED = 24
const root = fileURLToPath(new URL('..', import.meta.url))

const main = async () => {
  if (Number(process.versions.node.split('.')[0]) >= WANTED) {
    await run()
    return
  }
  const own = ownNode()
  if (own !== undefined) {
    await reexecute(own)
    return
  }
  process.stderr.write(
    `error: castellan needs Node ${WANTED} or newer, and this is ${process.versions.node}: install it from https://nodejs.org, or, in a checkout, run npm install, which brings one along\n`,
  )
  process.exitCode = 1
}

/** A checkout brings its own Node as a dependency, one package per platform. */
const ownNode = () => {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  return [
    join(root, `node_modules/node-${platform}-${process.arch}/bin`, file),
    join(root, 'node_modules/.bin', file),
  ].find((path) => existsSync(path))
}

const reexecute = async (node) => {
  // Only where it is needed: a command that runs at once need not wait for it to load.
  const { spawn } = await import('child_process')
  const script = fileURLToPath(import.meta.url)
  const child = spawn(node, [script].concat(process.argv.slice(2)), { stdio: 'inherit' })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']
  signals.forEach((signal) => process.on(signal, () => child.kill(signal)))
  child.on('error', (error) => {
    process.stderr.write(
      `error: the Node that this checkout brings cannot be run (${error.code}): run npm install again\n`,
    )
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    signals.forEach((name) => process.removeAllListeners(name))
    if (signal === null) process.exitCode = code
    else process.kill(process.pid, signal)
  })
}

const run = () => {
  const source = join(root, 'src/main/cli.ts')
  const fromSource = existsSync(source)
  // Not in a directory that others can write: what lies in the cache is executed.
  const cache = fromSource
    ? join(root, 'node_modules/.cache/castellan')
    : join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'castellan')
  moduleApi.enableCompileCache(cache)
  return import(pathToFileURL(fromSource ? source : join(root, 'dist/main/cli.js')).href)
}

void main()
