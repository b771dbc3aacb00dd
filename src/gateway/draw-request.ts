import { faultRow, type FaultCode } from '../lib/fault.ts'
import { KINDS, type Kind } from './exchange.ts'
import { STEPS } from './steps.ts'

/** `docs/request.md`: the step table as a picture. `npm run docs` writes it, a test holds it to the table. */
export function drawRequest(steps: typeof STEPS = STEPS): string {
  return [
    '# The way of a request',
    'Drawn from the table in `src/gateway/steps.ts` by `npm run docs`; a test fails when the two differ.',
    'Every request to an MCP endpoint passes these steps from top to bottom. An arrow to the right is a refusal: it ends ' +
      'the exchange with the HTTP status, the JSON-RPC code and the fault that stand behind it ([errors](errors.md) says ' +
      'what each means). What no step expects ends in `500 -32603 internal`. The record sees every refusal; no answer ' +
      'leaves before the record of its request is durable, unless the Project wants that otherwise.',
    fenced(picture(steps)),
    '## Which requests pass which step',
    'A dot: the step applies. What is not a request (a notification, a response, the GET that opens a stream, the DELETE ' +
      'that ends a session) has a row as well.',
    fenced(matrix(steps)),
  ]
    .join('\n\n')
    .concat('\n')
}

const fenced = (lines: readonly string[]): string => ['```text', ...lines, '```'].join('\n')

function picture(steps: typeof STEPS): string[] {
  const width = Math.max(...steps.map(({ step }) => step.length)) + 3
  const lines = ['  request']
  for (const { step, does, faults } of steps) {
    lines.push('     │', '     ▼', `  ${step.padEnd(width)}${does}`)
    for (const fault of faults) lines.push(`     ├──► ${faultLine(fault)}`)
  }
  return [...lines, '     │', '     ▼', '  answer to the client, outcome to the record']
}

function faultLine(code: FaultCode): string {
  const { mcp, rpc } = faultRow(code)
  return `${mcp} ${rpc} ${code}`
}

function matrix(steps: typeof STEPS): string[] {
  const first = Math.max(...KINDS.map((kind) => kind.length))
  const header = ['', ...steps.map(({ step }) => step)]
  const dots = (kind: Kind): string[] => steps.map(({ on }) => (on.includes(kind) ? '●' : ''))
  const rows = KINDS.map((kind) => [kind as string].concat(dots(kind)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(first) : centred(cell, header[i]?.length ?? 0)))
      .join('  ')
      .trimEnd()
  return [header, ...rows].map(line)
}

const centred = (cell: string, width: number): string =>
  cell.padStart(Math.ceil((width + cell.length) / 2)).padEnd(width)
