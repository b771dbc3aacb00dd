import { join, relative } from 'node:path'
import { callApi, jsonBody } from '../../cli/api.ts'
import type { CliContext } from '../../cli/context.ts'
import { unavailable } from '../../cli/failure.ts'
import { readDaemonRecord, resolveTarget } from '../../cli/target.ts'
import type { ServeConfig } from '../config.ts'
import { daemonLogPath } from '../daemon-log.ts'
import { isHomeLocked } from '../home-lock.ts'
import { runDaemon } from '../run-daemon.ts'
import { startEverythingHttp, type EverythingHttp } from './everything-http.ts'
import { showEntrance, showServers } from './entrance.ts'
import { keepToken, type KeptToken } from './kept-token.ts'
import { quickstartManifests } from './manifests.ts'
import { freePort } from './port.ts'
import type { Screen } from './screen.ts'
import { tryAsClient } from './try-as-client.ts'

export interface Quickstart {
  /** The checkout, without a slash at its end. */
  readonly root: string
  /** Asked for; absent: 7411, or one after it that is free. */
  readonly port: number | undefined
  readonly screen: Screen
  readonly context: CliContext
}

const DEFAULT_PORT = 7411
const PROJECT = 'quickstart'

/** @returns exit status, once somebody has stopped it */
export async function runQuickstart(quickstart: Quickstart): Promise<number> {
  const { root, screen, context } = quickstart
  const home = join(root, '.castellan')
  const { version } = context.version()
  screen.lines(['', `  ${screen.paint('bold', 'Castellan')} ${screen.paint('dim', version)}`, ''])
  if (isHomeLocked(home)) return await showRunning(quickstart, home)
  const port = await choosePort(quickstart)

  const everything = startEverythingHttp(root, home)
  // Its failure is met where it is waited for.
  everything.catch(() => undefined)
  const starting = screen.begin('Starting the daemon')
  try {
    await runDaemon(configFor(home, port), version, async ({ url }) => {
      starting.done(`Daemon on ${url}, its home is ${relative(root, home)}/`)
      await applyExamples({ ...quickstart, home, everything })
      await enter({ ...quickstart, home })
      const log = `${screen.paint('dim', 'Log'.padEnd(10))}${daemonLogPath(home)}`
      screen.lines([`  ${log}`, '', `  Ready in ${screen.seconds()}. Ctrl-C stops all of it.`, ''])
    })
  } finally {
    await everything.then(
      (started) => started.stop(),
      () => undefined,
    )
  }
  screen.lines(['', '  Stopped; nothing of it keeps running.', ''])
  return 0
}

const configFor = (home: string, port: number): ServeConfig => ({
  home,
  port,
  host: '127.0.0.1',
  manifests: [],
  logLevel: 'info',
  logTo: 'file',
})

async function choosePort({ port, screen }: Quickstart): Promise<number> {
  const found = await freePort(port ?? DEFAULT_PORT)
  if (port === undefined) {
    if (found !== DEFAULT_PORT)
      screen.lines([`  Port ${DEFAULT_PORT} is taken, so this start uses another one.`, ''])
    return found
  }
  if (found !== port)
    throw unavailable(
      `port ${port} is taken or may not be used`,
      'choose another: npm start -- --port 7500, or leave --port out',
    )
  return port
}

interface AtHome extends Quickstart {
  readonly home: string
}

async function applyExamples(at: AtHome & { readonly everything: Promise<EverythingHttp> }): Promise<void> {
  const { screen, root } = at
  const starting = screen.begin('Waiting for server-everything over HTTP')
  const { url, port } = await at.everything
  starting.done(`server-everything over HTTP, on 127.0.0.1:${port}`)
  const applying = screen.begin('Applying examples/quickstart')
  const manifests = await quickstartManifests(root, url)
  const answer = await callApi(targetOf(at), ['apply'], { method: 'POST', body: jsonBody(manifests) })
  const { results } = JSON.parse(answer) as { readonly results: readonly { readonly action: string }[] }
  const changed = results.filter(({ action }) => action !== 'unchanged').length
  applying.done(`${results.length} manifests of examples/quickstart applied, ${changed} new or changed`)
}

const TOKEN_ORIGINS = {
  kept: 'Token of an earlier start is still valid',
  made: 'Token made',
  renewed: 'Token renewed: the one kept here was no longer valid',
} as const

/** From a daemon that runs to a client that knows how to connect. */
async function enter(at: AtHome): Promise<void> {
  const { screen } = at
  const target = targetOf(at)
  const endpoint = new URL(`/projects/${PROJECT}/mcp`, target.url)
  const checking = screen.begin('Looking for the token')
  const kept: KeptToken = await keepToken(target, at.home, PROJECT)
  checking.done(TOKEN_ORIGINS[kept.origin])
  const calling = screen.begin('Calling a tool as a client would; the servers start for it')
  const tried = await tryAsClient(endpoint, kept.token)
  calling.done(`${tried.tool} called; ${tried.tools.length} tools behind one endpoint`)
  showServers(screen, await callApi(target, ['servers'], { query: { output: 'json' } }), tried.tools)
  showEntrance(screen, { endpoint: endpoint.href, tokenFile: kept.file, tried })
}

async function showRunning(quickstart: Quickstart, home: string): Promise<number> {
  const { screen, port } = quickstart
  const pid = readDaemonRecord(home)?.pid
  const who = pid === undefined ? '' : ` (pid ${pid})`
  const ignored = port === undefined ? '' : '; --port is for the next start'
  screen.lines([`  It is running already${who}${ignored}.`, ''])
  await enter({ ...quickstart, home })
  return 0
}

/** The daemon of this home with its admin credential, whatever the environment says of others. */
const targetOf = ({ context, home }: AtHome) => resolveTarget({ ...context, env: {} }, { home })
