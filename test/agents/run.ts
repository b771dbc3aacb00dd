import { spawnSync } from 'node:child_process'
import { BIN } from '../fixtures/daemon.ts'
import { CASES, type Case } from './cases.ts'
import { AGENT_CLIS, installMissing, runAgent, type AgentCli } from './clis.ts'
import { countCalls, countRequests, openStage, PROJECT, type Stage } from './stage.ts'

/**
 * `npm run test:agents`: the real agent CLIs, each through a real daemon with servers of either era behind it, against a
 * scripted model. Where the system allows it all of it runs in a network namespace that has only loopback, so that
 * nothing can leave. `node test/agents/run.ts [NAME]…` runs those whose command is named.
 */
const INSIDE = 'AGENT_TESTS_ARE_INSIDE'

interface Outcome {
  readonly agent: string
  readonly what: string
  /** Absent: it passed. */
  readonly problem?: string
}

async function play(stage: Stage, cli: AgentCli, one: Case): Promise<Outcome> {
  const problem = await problemOf(stage, cli, one)
  return { agent: cli.name, what: one.what, ...(problem === undefined ? {} : { problem }) }
}

async function problemOf(stage: Stage, cli: AgentCli, one: Case): Promise<string | undefined> {
  const { script, expect, calls, piped = false, what } = one
  const before = await countCalls(stage)
  const { pid, origin } = stage.daemon
  const sessions = await countRequests(stage, 'initialize')
  const args = [BIN, 'connect', PROJECT, '--url', origin, '--token-file', 'token']
  const prompt = [`This is the run of ${cli.name} for: ${what}.`, ...script].join('\n')
  const { code, output } = await runAgent(cli, prompt, {
    gatewayUrl: `${origin}/projects/${PROJECT}/mcp`,
    token: stage.token,
    modelUrl: stage.stub.url,
    program: piped ? { command: process.execPath, args } : undefined,
  })
  const missing = expect(cli).find((text) => !text.test(output))
  if (missing !== undefined) {
    const offered = stage.stub.offered().join(', ').slice(0, 500)
    return `no ${String(missing)} in its output; exit ${code}; offered: ${offered}\n${output.trim().slice(-1500)}`
  }
  const restarted = stage.daemon.pid !== pid
  if (script.includes('HOOK restart') !== restarted)
    return 'the daemon was started again when it should not, or not when it should'
  const recorded = (await countCalls(stage)) - before
  if (recorded !== calls(cli)) return `the record has ${recorded} tools/call, not ${calls(cli)}`
  if (restarted) return undefined
  const spoken = (await countRequests(stage, 'initialize')) > sessions ? 'legacy' : 'modern'
  return spoken === cli.era ? undefined : `it spoke the ${spoken} era, not the ${cli.era} one`
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
        console.log(`${cli.name.padEnd(20)}${one.what.padEnd(26)}${verdict}`)
      }
  } finally {
    await stage.close()
  }
  console.log(`\n${tableOf(clis, outcomes)}`)
  const failed = outcomes.filter((outcome) => outcome.problem !== undefined).length
  console.log(`\n${outcomes.length - failed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

/** A row for each agent, a column for each case. */
function tableOf(clis: readonly AgentCli[], outcomes: readonly Outcome[]): string {
  const rows = clis.map((cli) => [
    `${cli.name} (${cli.version})`,
    ...CASES.map(({ what }) => {
      const outcome = outcomes.find((one) => one.agent === cli.name && one.what === what)
      return outcome?.problem === undefined ? 'passed' : 'FAILED'
    }),
  ])
  const all = [['agent', ...CASES.map(({ what }) => what)], ...rows]
  const widths = all[0]?.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0))) ?? []
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
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
