import { spawnSync } from 'node:child_process'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { AGENT_CLIS, installMissing, runAgent, type AgentCli } from './clis.ts'
import { startModelStub, type ModelStub } from './model-stub.ts'

/**
 * `npm run test:agents`: the real agent CLIs, each through a real daemon with server-everything behind it, against a
 * scripted model. Where the system allows it all of it runs in a network namespace that has only loopback, so that
 * nothing can leave. `node test/agents/run.ts [NAME]…` runs those whose command is named.
 */
const INSIDE = 'AGENT_TESTS_ARE_INSIDE'
const MODULES = new URL('../../node_modules/', import.meta.url).pathname
const PROJECT = 'agents'

interface Stage {
  /** Changes when the daemon is started again. */
  daemon: Daemon
  readonly token: string
  readonly stub: ModelStub
}

interface Outcome {
  readonly agent: string
  readonly what: string
  /** Absent: it passed. */
  readonly problem?: string
}

async function openStage(): Promise<Stage> {
  const daemon = await startDaemon(await makeHome())
  await daemon.apply([
    {
      kind: 'Server',
      metadata: { name: 'everything' },
      spec: {
        transport: 'stdio',
        command: process.execPath,
        args: [`${MODULES}@modelcontextprotocol/server-everything/dist/index.js`, 'stdio'],
        mounts: [{ path: MODULES.replace(/\/$/, '') }],
      },
    },
    { kind: 'Project', metadata: { name: PROJECT }, spec: { servers: ['everything'] } },
  ])
  const token = await daemon.createToken(PROJECT)
  const stub = await startModelStub({
    // On the same port, as a service that is started again: the agent knows no other address.
    restart: async () => {
      const { home, origin } = stage.daemon
      await stage.daemon.stop()
      stage.daemon = await startDaemon(home, Number(new URL(origin).port))
    },
  })
  const stage: Stage = { daemon, token, stub }
  return stage
}

/** How many `tools/call` the record holds. */
async function countCalls({ daemon }: Stage): Promise<number> {
  const answer = await daemon.call('GET', `/api/v1/audit?project=${PROJECT}&limit=1000&output=json`)
  const rows = (Array.isArray(answer) ? answer : (answer as { items?: unknown[] }).items) as {
    event?: string
  }[]
  return rows.filter((row) => row.event === 'tools/call').length
}

interface Case {
  readonly what: string
  readonly script: readonly string[]
  readonly expect: readonly string[]
  readonly calls: number
}

const call = (message: string) => `CALL everything__echo ${JSON.stringify({ message })}`

const CASES: readonly Case[] = [
  { what: 'one call', script: [call('hello')], expect: ['Echo: hello'], calls: 1 },
  {
    what: 'a session that outlives the daemon',
    script: [call('before'), 'HOOK restart', call('after')],
    expect: ['Echo: before', 'Echo: after'],
    calls: 2,
  },
]

async function play(stage: Stage, cli: AgentCli, { what, script, expect, calls }: Case): Promise<Outcome> {
  const before = await countCalls(stage)
  const { pid } = stage.daemon
  const prompt = [`This is the run of ${cli.name} for: ${what}.`, ...script].join('\n')
  const { code, output } = await runAgent(cli, prompt, {
    gatewayUrl: `${stage.daemon.origin}/projects/${PROJECT}/mcp`,
    token: stage.token,
    modelUrl: stage.stub.url,
  })
  const agent = cli.name
  const missing = expect.find((text) => !output.includes(text))
  if (missing !== undefined) {
    const offered = stage.stub.offered().join(', ')
    const said = output.trim().slice(-1500)
    return {
      agent,
      what,
      problem: `no "${missing}" in its output; exit ${code}; offered: ${offered}\n${said}`,
    }
  }
  if (script.includes('HOOK restart') === (stage.daemon.pid === pid))
    return { agent, what, problem: 'the daemon was started again when it should not, or not when it should' }
  const recorded = (await countCalls(stage)) - before
  return recorded === calls
    ? { agent, what }
    : { agent, what, problem: `the record has ${recorded} tools/call, not ${calls}` }
}

async function playAll(): Promise<number> {
  const wanted = process.argv.slice(2)
  const clis = AGENT_CLIS.filter((cli) => wanted.length === 0 || wanted.includes(cli.command))
  const outcomes: Outcome[] = []
  const stage = await openStage()
  try {
    for (const cli of clis)
      for (const one of CASES) {
        const outcome = await play(stage, cli, one)
        outcomes.push(outcome)
        const verdict = outcome.problem === undefined ? 'passed' : `FAILED: ${outcome.problem}`
        console.log(`${`${cli.name} ${cli.version}`.padEnd(22)}${one.what.padEnd(38)}${verdict}`)
      }
  } finally {
    await stage.stub.close()
    await stage.daemon.stop()
    await removeHome(stage.daemon.home)
  }
  const failed = outcomes.filter((outcome) => outcome.problem !== undefined).length
  console.log(`\n${outcomes.length - failed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

/** How to get a network namespace of one's own here: directly as root, through a user namespace as anybody else. */
function namespaceFlags(): readonly string[] | undefined {
  return [['-n'], ['-rn']].find(
    (flags) => spawnSync('unshare', [...flags, 'ip', 'link', 'set', 'lo', 'up']).status === 0,
  )
}

async function main(): Promise<number> {
  if (process.env[INSIDE] === '1') return playAll()
  await installMissing()
  const flags = namespaceFlags()
  if (flags === undefined) {
    console.log('no network namespace here: the agents could reach the network')
    return playAll()
  }
  const inner = 'ip link set lo up && exec "$0" "$@"'
  const self = [process.execPath, ...process.argv.slice(1)]
  const { status } = spawnSync('unshare', [...flags, 'sh', '-c', inner, ...self], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  })
  return status ?? 1
}

process.exitCode = await main()
