import { clientLines, exportLine } from './client-lines.ts'
import type { Screen } from './screen.ts'
import type { Tried } from './try-as-client.ts'

interface ListedServer {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly transport: string }
  readonly status: { readonly phase: string; readonly message?: string; readonly tools?: number }
}

const NAME_WIDTH = 18
const TRANSPORT_WIDTH = 8

/**
 * One line for each server: its tools, or why it is not ready.
 *
 * @param list answer of the control API
 * @param offered names of the tools that the project offers
 */
export function showServers(screen: Screen, list: string, offered: readonly string[]): void {
  const { items } = JSON.parse(list) as { readonly items: readonly ListedServer[] }
  screen.lines(items.map((server) => `      ${serverLine(screen, server, offered)}`))
}

function serverLine(
  screen: Screen,
  { metadata, spec, status }: ListedServer,
  offered: readonly string[],
): string {
  const { phase, message, tools = 0 } = status
  const name = `${metadata.name.padEnd(NAME_WIDTH)}${screen.paint('dim', spec.transport.padEnd(TRANSPORT_WIDTH))}`
  if (phase !== 'Ready') return `${name}${screen.paint('red', `${phase}: ${message ?? 'no reason given'}`)}`
  const denied = tools - offered.filter((tool) => tool.startsWith(`${metadata.name}__`)).length
  const note = denied > 0 ? screen.paint('dim', `, ${denied} of them denied by the project`) : ''
  return `${name}${tools} tools${note}`
}

export interface Entrance {
  readonly endpoint: string
  readonly tokenFile: string
  readonly tried: Tried
}

/** What a newcomer needs next: the proof that it works, how to connect a client and, where the eye ends, the endpoint. */
export function showEntrance(screen: Screen, { endpoint, tokenFile, tried }: Entrance): void {
  const dim = (text: string): string => screen.paint('dim', text)
  const bold = (text: string): string => screen.paint('bold', text)
  const row = (name: string, text: string): string => `  ${dim(name.padEnd(10))}${text}`
  const block = (title: string, about: string, paste: readonly string[]): readonly string[] => [
    `  ${bold(title)}  ${dim(about)}`,
    ...paste.map((line) => `    ${screen.paint('cyan', line)}`),
    '',
  ]
  screen.lines([
    '',
    row('Asked', `${tried.tool} ${JSON.stringify(tried.arguments)}`),
    row('Answered', screen.paint('green', tried.result)),
    '',
    ...block('Connect a client', 'first give your shell the token:', [exportLine(tokenFile)]),
    ...clientLines(endpoint).flatMap(({ client, about, paste }) => block(client, about, paste)),
    ...block('Look around', 'from this folder', [
      'export CASTELLAN_HOME="$PWD/.castellan"',
      'bin/castellan.js status',
      'bin/castellan.js audit',
    ]),
    row('Endpoint', bold(endpoint)),
    row('Token', `${tokenFile} ${dim('(0600)')}`),
  ])
}
