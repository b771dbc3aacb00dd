import { SecretValue } from '../../lib/secret-value.ts'
import { printLines, type CliContext } from '../context.ts'
import { choice, defineCommand, flag, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { openHttp, transportReason } from '../http-request.ts'
import { connectMcp, type McpClient } from '../mcp/client.ts'
import { McpFailure, type Endpoint } from '../mcp/exchange.ts'

export const testMcp = defineCommand({
  arguments: ['<url>'],
  options: {
    token: text(
      '--token <token>',
      'the credential; other users of this machine can read it here, so prefer CASTELLAN_TOKEN',
    ),
    tool: text('--tool <name>', 'call this tool'),
    args: text('--args <json>', 'with these arguments (a JSON object)'),
    expectTools: text('--expect-tools <names>', 'fail unless all of these (a,b,…) are listed'),
    timeout: text('--timeout <seconds>', 'for one request (default: 30)'),
    output: choice('-o, --output <format>', 'how to print it', ['text', 'json']),
    noHealth: flag('--no-health', 'do not ask /healthz first'),
  },
  globals: [],
  about: 'Exit status: 0 passed, 1 not reachable or not let in, 2 it answers, but not as it must.',
  examples: [
    'castellan test mcp http://127.0.0.1:7411/projects/demo/mcp',
    `castellan test mcp http://127.0.0.1:7411/projects/demo/mcp --tool everything__echo --args '{"message":"hi"}'`,
  ],
  async run({ args: [address = ''], options, context }) {
    const plan = readPlan(address, options, context)
    const report = createReport(options.output === 'json', context)
    try {
      await runPlan(plan, report)
      return report.end(undefined)
    } catch (error) {
      if (error instanceof McpFailure) return report.end(error)
      throw error
    }
  },
})

interface Plan {
  readonly endpoint: Endpoint
  readonly health: boolean
  readonly expected: readonly string[]
  readonly call: { readonly name: string; readonly arguments: unknown } | undefined
}

interface Given {
  readonly token: string | undefined
  readonly tool: string | undefined
  readonly args: string | undefined
  readonly expectTools: string | undefined
  readonly timeout: string | undefined
  readonly noHealth: boolean
}

function readPlan(address: string, given: Given, context: CliContext): Plan {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw usage('the address is not an http or https url', 'write: http://127.0.0.1:7411/projects/demo/mcp')
  const seconds = Number(given.timeout ?? '30')
  if (!(seconds > 0 && seconds <= 3600))
    throw usage('--timeout is not a number of seconds', 'write: --timeout 30')
  if (given.args !== undefined && given.tool === undefined)
    throw usage('--args is for --tool', 'add: --tool NAME')
  const token = given.token ?? context.env['CASTELLAN_TOKEN']
  return {
    endpoint: {
      url,
      token: token === undefined || token === '' ? undefined : new SecretValue(token),
      timeoutMs: seconds * 1000,
    },
    health: !given.noHealth,
    expected: (given.expectTools ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    call: given.tool === undefined ? undefined : { name: given.tool, arguments: readArguments(given.args) },
  }
}

function readArguments(json: string | undefined): unknown {
  try {
    const value: unknown = JSON.parse(json ?? '{}')
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Said below, in one way for all that is no JSON object.
  }
  throw usage('--args is not a JSON object', `write: --args '{"message":"hi"}'`)
}

async function runPlan(plan: Plan, report: Report): Promise<void> {
  if (plan.health) report.passed('health', await checkHealth(plan.endpoint))
  const client = await connectMcp(plan.endpoint)
  try {
    report.passed('connect', `${client.server}, ${client.protocolVersion} (${client.era})`)
    const names = await listTools(client)
    report.passed('tools', `${names.length} listed`, names)
    const missing = plan.expected.filter((name) => !names.includes(name))
    if (missing.length > 0)
      throw new McpFailure(
        2,
        `not listed: ${missing.join(', ')}`,
        'check spec.servers and spec.tools of the project',
      )
    if (plan.expected.length > 0) report.passed('expect', `all ${plan.expected.length} are listed`)
    if (plan.call !== undefined) report.passed('call', await callTool(client, plan.call))
  } finally {
    await client.close()
  }
}

/** Endpoints of others may have no `/healthz`; one that is there has to be well. */
async function checkHealth({ url, timeoutMs }: Endpoint): Promise<string> {
  const answer = await openHttp(new URL('/healthz', url), { method: 'GET', headers: {}, timeoutMs }).catch(
    (error: unknown) => {
      throw new McpFailure(
        1,
        `no connection: ${transportReason(error)}`,
        'check the address, and that the daemon runs: castellan status',
      )
    },
  )
  answer.resume()
  if ((answer.statusCode ?? 0) >= 500)
    throw new McpFailure(
      1,
      `the host is not well (${answer.statusCode ?? 0})`,
      'look at: castellan status, castellan logs',
    )
  return answer.statusCode === 200 ? 'the host is well' : 'the host has no /healthz'
}

const MAX_PAGES = 1000

async function listTools(client: McpClient): Promise<string[]> {
  const names: string[] = []
  let cursor: unknown
  for (let page = 0; page < MAX_PAGES; page++) {
    const result = await client.request('tools/list', cursor === undefined ? {} : { cursor })
    if (!Array.isArray(result['tools']))
      throw new McpFailure(
        2,
        'tools/list was answered without a list',
        'the server has to answer with tools: […]',
      )
    for (const tool of result['tools'] as readonly { name?: unknown }[]) {
      if (typeof tool?.name !== 'string')
        throw new McpFailure(2, 'a tool in the list has no name', 'the server has to name each tool')
      names.push(tool.name)
    }
    cursor = result['nextCursor']
    if (cursor === undefined) return names
  }
  throw new McpFailure(2, 'tools/list never ends', 'the server has to leave nextCursor out on the last page')
}

async function callTool(client: McpClient, call: NonNullable<Plan['call']>): Promise<string> {
  const result = await client.request('tools/call', { ...call })
  const content = Array.isArray(result['content']) ? (result['content'] as readonly { text?: unknown }[]) : []
  const text = content.flatMap((part) => (typeof part?.text === 'string' ? [part.text] : [])).join('\n')
  const shown = text.length > 2000 ? `${text.slice(0, 2000)} …` : text
  if (result['isError'] === true)
    throw new McpFailure(
      2,
      `the tool answered with an error: ${shown}`,
      'check --args against the schema of the tool',
    )
  return shown === '' ? `${content.length} parts, none of them text` : shown
}

interface Report {
  passed(step: string, detail: string, names?: readonly string[]): void
  end(failure: McpFailure | undefined): number
}

function createReport(asJson: boolean, context: CliContext): Report {
  const steps: { step: string; ok: boolean; detail: string; names?: readonly string[] }[] = []
  return {
    passed(step, detail, names) {
      steps.push({ step, ok: true, detail, ...(names === undefined ? {} : { names }) })
      if (!asJson) printLines(context.stdout, [`ok    ${step.padEnd(8)}${detail}`])
    },
    end(failure) {
      const exit = failure?.exit ?? 0
      const about = failure === undefined ? {} : { error: failure.message, hint: failure.hint }
      if (asJson)
        printLines(context.stdout, [JSON.stringify({ ok: exit === 0, exit, steps, ...about }, null, 2)])
      else if (failure === undefined) printLines(context.stdout, ['passed'])
      else printLines(context.stderr, [`fail  ${failure.message}`, `hint: ${failure.hint}`])
      return exit
    },
  }
}
