import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Era } from '../../src/protocol/revisions.ts'

const CACHE = new URL('../../.cache/agents/', import.meta.url).pathname
const BINARIES = join(CACHE, 'node_modules', '.bin')
const TIMEOUT_MS = 120_000

export interface AgentCli {
  readonly name: string
  readonly package: string
  readonly version: string
  readonly command: string
  /** What it speaks, as it is set up here. */
  readonly era: Era
  /** How it answers questions that no person is there to answer; undefined: it cannot be asked. */
  readonly answersQuestions: 'cancel' | 'decline' | undefined
  /** Arguments, variables and files in the agent's own home. Credentials go through variables, never arguments. */
  readonly setUp: (prompt: string, at: Surroundings) => Promise<{ args: string[]; env: Env }>
}

/** A program in place of an address, for clients that start their servers. */
interface Program {
  readonly command: string
  readonly args: readonly string[]
}

interface Surroundings {
  readonly gatewayUrl: string
  readonly program: Program | undefined
  readonly modelUrl: string
  /** Empty, and the agent's alone. */
  readonly home: string
}

type Env = Readonly<Record<string, string>>

// The `${…}` is for Claude Code to expand: so the token is in no argument.
const CLAUDE_HTTP = { type: 'http', url: '${GATEWAY_URL}', headers: { Authorization: 'Bearer ${GW_TOKEN}' } }
const GEMINI_HTTP = { type: 'http', url: '$GATEWAY_URL', headers: { Authorization: 'Bearer $GW_TOKEN' } }

const GEMINI_SETTINGS = {
  security: { auth: { selectedType: 'gemini-api-key' }, folderTrust: { enabled: false } },
  privacy: { usageStatisticsEnabled: false },
  general: { enableAutoUpdate: false },
}

/** @param flags that change what it speaks */
const setUpCodex =
  (flags: readonly string[]): AgentCli['setUp'] =>
  async (prompt, { modelUrl, gatewayUrl, program }) => {
    const provider = `{name="stub",base_url="${modelUrl}/v1",wire_api="responses",env_key="STUB_KEY"}`
    // TOML of strings and lists of strings is JSON.
    const server =
      program === undefined
        ? `{url="${gatewayUrl}",bearer_token_env_var="GW_TOKEN",required=true}`
        : `{command=${JSON.stringify(program.command)},args=${JSON.stringify(program.args)},required=true}`
    const settings = [
      'model=stub',
      'model_provider=stub',
      `model_providers.stub=${provider}`,
      `mcp_servers.gw=${server}`,
      'analytics.enabled=false',
    ]
    const all = ['--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', ...flags]
    return {
      args: ['exec', ...all, ...settings.flatMap((setting) => ['-c', setting]), prompt],
      env: { STUB_KEY: 'sk-stub' },
    }
  }

const CODEX = { package: '@openai/codex', version: '0.169.0', command: 'codex' } as const

export const AGENT_CLIS: readonly AgentCli[] = [
  {
    name: 'Claude Code',
    package: '@anthropic-ai/claude-code',
    version: '2.1.197',
    command: 'claude',
    era: 'legacy',
    answersQuestions: 'cancel',
    setUp: async (prompt, { modelUrl, program }) => ({
      args: [
        '-p',
        prompt,
        '--mcp-config',
        JSON.stringify({ mcpServers: { gw: program ?? CLAUDE_HTTP } }),
        '--strict-mcp-config',
        '--allowedTools=mcp__gw',
      ],
      env: {
        ANTHROPIC_BASE_URL: modelUrl,
        ANTHROPIC_API_KEY: 'sk-stub',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
      },
    }),
  },
  { ...CODEX, name: 'Codex', era: 'legacy', answersQuestions: 'decline', setUp: setUpCodex([]) },
  {
    ...CODEX,
    name: 'Codex, 2026-07-28',
    era: 'modern',
    answersQuestions: 'decline',
    setUp: setUpCodex(['--enable', 'mcp_2026_07_28']),
  },
  {
    name: 'Gemini CLI',
    package: '@google/gemini-cli',
    version: '0.61.0',
    command: 'gemini',
    era: 'legacy',
    answersQuestions: undefined,
    setUp: async (prompt, { modelUrl, home, program }) => {
      const mcpServers = { gw: { ...(program ?? GEMINI_HTTP), trust: true } }
      await mkdir(join(home, '.gemini'))
      await writeFile(
        join(home, '.gemini', 'settings.json'),
        JSON.stringify({ ...GEMINI_SETTINGS, mcpServers }),
      )
      return {
        args: ['-m', 'gemini-2.5-flash', '-p', prompt],
        env: {
          GEMINI_API_KEY: 'stub',
          GOOGLE_GEMINI_BASE_URL: modelUrl,
          GEMINI_CLI_TRUST_WORKSPACE: 'true',
          GEMINI_CLI_NO_RELAUNCH: 'true',
        },
      }
    },
  },
]

/** Installs what is missing, in the pinned versions, into an ignored folder (about 740 MB). */
export async function installMissing(): Promise<void> {
  const found = new Set<string>()
  for (const cli of AGENT_CLIS) if (!(await isInstalled(cli))) found.add(`${cli.package}@${cli.version}`)
  const missing = [...found]
  if (missing.length === 0) return
  console.log(`installing ${missing.join(', ')}; this can take some minutes`)
  await mkdir(CACHE, { recursive: true })
  // Claude Code's program is put in place by its install script.
  const args = ['install', '--prefix', CACHE, '--no-audit', '--no-fund', '--loglevel', 'warn', ...missing]
  const child = spawn('npm', args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await new Promise((resolve) => child.once('exit', resolve))
  if (code !== 0) throw new Error('the agent CLIs could not be installed; see the lines above')
}

async function isInstalled(cli: AgentCli): Promise<boolean> {
  const manifest = join(CACHE, 'node_modules', cli.package, 'package.json')
  if (!existsSync(manifest)) return false
  return (JSON.parse(await readFile(manifest, 'utf8')) as { version: string }).version === cli.version
}

export interface AgentRun {
  readonly code: number | null
  readonly output: string
}

export interface AgentEndpoint {
  readonly gatewayUrl: string
  readonly token: string
  readonly modelUrl: string
  /** Started by the agent instead of connecting to the address. It finds the token in the file `token` of its folder. */
  readonly program: Program | undefined
}

/** Runs one agent with an empty environment, a home of its own and no standard input, until it ends. */
export async function runAgent(cli: AgentCli, prompt: string, where: AgentEndpoint): Promise<AgentRun> {
  const home = await mkdtemp(join(tmpdir(), 'castellan-agent-'))
  try {
    const project = join(home, 'project')
    await mkdir(project)
    await writeFile(join(project, 'token'), where.token, { mode: 0o600 })
    const { args, env } = await cli.setUp(prompt, { ...where, home })
    const child = spawn(join(BINARIES, cli.command), args, {
      cwd: project,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      env: {
        PATH: [BINARIES, dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
        HOME: home,
        TMPDIR: home,
        TERM: 'xterm-256color',
        LANG: 'C.UTF-8',
        GATEWAY_URL: where.gatewayUrl,
        GW_TOKEN: where.token,
        ...env,
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, output }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}
