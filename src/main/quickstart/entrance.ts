import { relative } from 'node:path'
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

/** One line for each server, and why for one that is not ready. */
export function showServers(screen: Screen, list: string): void {
  const { items } = JSON.parse(list) as { readonly items: readonly ListedServer[] }
  screen.lines(items.map((server) => `    ${serverLine(screen, server)}`))
}

function serverLine(screen: Screen, { metadata, spec, status }: ListedServer): string {
  const { phase, message, tools = 0 } = status
  const name = `${metadata.name.padEnd(NAME_WIDTH)}${screen.paint('dim', spec.transport.padEnd(TRANSPORT_WIDTH))}`
  return phase === 'Ready'
    ? `${name}${tools} tools`
    : `${name}${screen.paint('red', `${phase}: ${message ?? ''}`)}`
}

export interface Entrance {
  readonly endpoint: string
  readonly tokenFile: string
  readonly root: string
  readonly tried: Tried
}

/** What a newcomer needs next: the proof that it works, where it is, and how to connect a client. */
export function showEntrance(screen: Screen, { endpoint, tokenFile, root, tried }: Entrance): void {
  const dim = (text: string): string => screen.paint('dim', text)
  const bold = (text: string): string => screen.paint('bold', text)
  const row = (name: string, text: string): string => `  ${dim(name.padEnd(10))}${text}`
  const paste = (lines: readonly string[]): void =>
    screen.lines(['', ...lines.map((line) => screen.paint('cyan', line)), ''])
  screen.lines([
    '',
    row('Asked', `${tried.tool} ${JSON.stringify(tried.arguments)}`),
    row('Answered', screen.paint('green', tried.result)),
    '',
    row('Endpoint', bold(endpoint)),
    row('Token', `${relative(root, tokenFile)} ${dim('(only you can read it; keep it off command lines)')}`),
    '',
    `  ${bold('Connect a client')}  ${dim('first, in the shell it starts from:')}`,
  ])
  paste([exportLine(tokenFile)])
  for (const { client, about, paste: lines } of clientLines(endpoint)) {
    screen.lines([`  ${bold(client)}  ${dim(about)}`])
    paste(lines)
  }
  screen.lines([`  ${bold('Look around')}`])
  paste([`export CASTELLAN_HOME="$PWD/.castellan"`, 'bin/castellan.js status', 'bin/castellan.js audit'])
}
