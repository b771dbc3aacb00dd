import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const CACHE = new URL('../../.cache/agents/', import.meta.url).pathname
const BINARIES = join(CACHE, 'node_modules', '.bin')
const TIMEOUT_MS = 120_000

export interface AgentCli {
  readonly name: string
  readonly package: string
  readonly version: string
  readonly command: string
  /** Arguments, variables and files in the agent's own home. Credentials go through variables, never arguments. */
  readonly setUp: (prompt: string, at: Surroundings) => Promise<{ args: string[]; env: Env }>
}

interface Surroundings {
  readonly gatewayUrl: string
  readonly modelUrl: string
  /** Empty, and the agent's alone. */
  readonly home: string
}

type Env = Readonly<Record<string, string>>

// The `${…}` is for Claude Code to expand: so the token is in no argument.
const CLAUDE_SERVERS = {
  mcpServers: {
    gw: { type: 'http', url: '${GATEWAY_URL}', headers: { Authorization: 'Bearer ${GW_TOKEN}' } },
  },
}

const GEMINI_SETTINGS = {
  security: { auth: { selectedType: 'gemini-api-key' }, folderTrust: { enabled: false } },
  privacy: { usageStatisticsEnabled: false },
  general: { enableAutoUpdate: false },
  mcpServers: {
    gw: {
      type: 'http',
      url: '$GATEWAY_URL',
      headers: { Authorization: 'Bearer $GW_TOKEN' },
      trust: true,
    },
  },
}

export const AGENT_CLIS: readonly AgentCli[] = [
  {
    name: 'Claude Code',
    package: '@anthropic-ai/claude-code',
    version: '2.1.197',
    command: 'claude',
    setUp: async (prompt, { modelUrl }) => ({
      args: [
        '-p',
        prompt,
        '--mcp-config',
        JSON.stringify(CLAUDE_SERVERS),
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
  {
    name: 'Codex',
    package: '@openai/codex',
    version: '0.169.0',
    command: 'codex',
    setUp: async (prompt, { modelUrl, gatewayUrl }) => {
      const provider = `{name="stub",base_url="${modelUrl}/v1",wire_api="responses",env_key="STUB_KEY"}`
      const server = `{url="${gatewayUrl}",bearer_token_env_var="GW_TOKEN",required=true}`
      const settings = [
        'model=stub',
        'model_provider=stub',
        `model_providers.stub=${provider}`,
        `mcp_servers.gw=${server}`,
        'analytics.enabled=false',
      ]
      const flags = ['--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox']
      return {
        args: ['exec', ...flags, ...settings.flatMap((setting) => ['-c', setting]), prompt],
        env: { STUB_KEY: 'sk-stub' },
      }
    },
  },
  {
    name: 'Gemini CLI',
    package: '@google/gemini-cli',
    version: '0.61.0',
    command: 'gemini',
    setUp: async (prompt, { modelUrl, home }) => {
      await mkdir(join(home, '.gemini'))
      await writeFile(join(home, '.gemini', 'settings.json'), JSON.stringify(GEMINI_SETTINGS))
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
  const missing: string[] = []
  for (const cli of AGENT_CLIS) if (!(await isInstalled(cli))) missing.push(`${cli.package}@${cli.version}`)
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

/** Runs one agent with an empty environment, a home of its own and no standard input, until it ends. */
export async function runAgent(
  cli: AgentCli,
  prompt: string,
  where: { readonly gatewayUrl: string; readonly token: string; readonly modelUrl: string },
): Promise<AgentRun> {
  const home = await mkdtemp(join(tmpdir(), 'castellan-agent-'))
  try {
    const project = join(home, 'project')
    await mkdir(project)
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
