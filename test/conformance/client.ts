import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { authorizing } from './client-authorize.ts'
import { behaviourOf, type Context } from './client-behaviour.ts'
import { runSuite, type Requirements, type SuiteRun } from './suite.ts'

/** What `client-command.js` passes on. */
interface Asked {
  readonly scenario: string
  readonly revision: Requirements
  readonly context: Context
  /** The mock server of the scenario. */
  readonly server: string
}

export interface ClientRole {
  /** The suite with the gateway as the client under test, and an official client in front of it. */
  run(requirements: Requirements, expectedFailures?: string): Promise<SuiteRun>
  close(): Promise<void>
}

/** One daemon for all scenarios: each brings a Server and a Project of its own, for the suite runs them side by side. */
export async function openClientRole(): Promise<ClientRole> {
  const daemon = await startDaemon(await makeHome())
  let count = 0
  const driver = createServer((request, response) => {
    void json(request)
      .then((asked) => play(daemon, `scenario-${++count}`, asked as Asked))
      .then(
        () => response.end(),
        (thrown: unknown) => response.writeHead(500).end(`${String(thrown)}\n`),
      )
  })
  await new Promise<void>((resolve) => driver.listen(0, '127.0.0.1', resolve))
  const { port } = driver.address() as AddressInfo
  const command = [process.execPath, new URL('client-command.js', import.meta.url).pathname]
  return {
    run: (requirements, expectedFailures) =>
      runSuite({
        role: 'client',
        // All start at once, on a machine that may have two cores.
        target: ['--command', [...command, `http://127.0.0.1:${port}`].join(' '), '--timeout', '90000'],
        requirements,
        expectedFailures,
      }),
    async close() {
      driver.closeAllConnections()
      driver.close()
      await daemon.stop()
      await removeHome(daemon.home)
    },
  }
}

async function play(daemon: Daemon, name: string, asked: Asked): Promise<void> {
  const behaviour = behaviourOf(asked.scenario)
  if (behaviour === undefined) throw new Error('not a scenario of the client role that is scored')
  const isAuth = asked.scenario.startsWith('auth/')
  const auth = isAuth ? { auth: { grant: `oauth:${name}` } } : {}
  await daemon.apply([
    { kind: 'Server', metadata: { name }, spec: { transport: 'http', url: asked.server, ...auth } },
    { kind: 'Project', metadata: { name }, spec: { servers: [name] } },
  ])
  const token = await daemon.createToken(name)
  const url = `${daemon.origin}/projects/${name}/servers/${name}/mcp`
  const attempt = (): Promise<void> => behaviour({ url, token, revision: asked.revision }, asked.context)
  try {
    await (isAuth ? authorizing(daemon, name, asked.context, attempt) : attempt())
  } finally {
    // The mock servers of the suite end when the last connection to them does.
    await daemon.call('DELETE', `/api/v1/tokens/test?project=${name}`)
    await daemon.call('DELETE', `/api/v1/projects/${name}`)
    await daemon.call('DELETE', `/api/v1/servers/${name}`)
  }
}
