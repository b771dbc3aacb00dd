import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitationCompleteNotificationSchema,
  ElicitRequestSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { Browser, Page } from 'playwright-core'
import type { Daemon } from '../fixtures/daemon.ts'
import type { ResourceProvider } from '../fixtures/resource-provider.ts'
import { at, createToken, endpoint, httpServer, project, type Access, type Json } from './gateway-harness.ts'

/* People with accounts of their own at one server, their agents, and their browsers. */

export const PASSWORD = 'a long password of theirs'
export const SERVER = 'notes'
const DEMO = 'demo'

export const user = (name: string, spec: Json = {}): Json => ({ kind: 'User', metadata: { name }, spec })

/** A server that everybody reaches with an account of their own, in a project that these people may use. */
export async function furnish(
  daemon: Daemon,
  provider: Pick<ResourceProvider, 'url'>,
  people: readonly Json[],
  more: readonly Json[] = [],
): Promise<void> {
  const names = people.map(({ metadata }) => (metadata as { name: string }).name)
  const others = more.map(({ metadata }) => (metadata as { name: string }).name)
  await daemon.apply([
    httpServer(SERVER, provider.url, {
      description: 'Notes of <b>each</b> person.',
      auth: { grant: `oauth:${SERVER}`, whose: 'per-user' },
    }),
    ...more,
    project(DEMO, [SERVER, ...others]),
    ...people,
    {
      kind: 'RoleBinding',
      metadata: { name: 'people' },
      spec: {
        subjects: names.map((name) => ({ kind: 'User', name })),
        bindings: [{ role: 'run', resource: '*' }],
      },
    },
  ])
}

export const setPassword = (daemon: Daemon, name: string): Promise<unknown> =>
  daemon.call('POST', `/api/v1/users/${name}/password`, { password: PASSWORD })

/** What an agent of this person has in hand. */
export async function accessOf(daemon: Daemon, owner: string, at = daemon): Promise<Access> {
  const token = await createToken(daemon, DEMO, `of-${owner}`, {
    owner: { kind: 'User', name: owner },
    bindings: [{ role: 'run', resource: '*' }],
  })
  return { url: endpoint(at, DEMO), token }
}

/** An agent, and what its user does with the pages that it is told to open. */
export interface Agent {
  call(name: string, args?: Json): Promise<Json>
  tools(): Promise<string[]>
  watchTools(): Promise<void>
  /** Addresses that it was asked to open. */
  readonly opened: string[]
  /** Pages that an error wants to be opened. */
  elicitations(error: unknown): Wanted
  /** Elicitations that it was told are complete. */
  readonly completed: string[]
  changes: number
  close(): Promise<void>
}

type Wanted = readonly [{ readonly url: string; readonly elicitationId: string }]
const wantedIn = (error: unknown): Wanted => at(error, 'data.elicitations') as Wanted

export type Opens = (url: string) => Promise<void>

const ABOUT = { name: 'agent', version: '1' }
const transport = ({ token }: Access) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } })

/** @param open the user at the browser; the client says that the page was opened, and goes on */
export async function modernAgent(
  access: Access,
  open: Opens = () => Promise.resolve(),
  action: 'accept' | 'decline' | 'cancel' = 'accept',
): Promise<Agent> {
  const client = new Client2(ABOUT, {
    capabilities: { elicitation: { url: {} } },
    versionNegotiation: { mode: { pin: '2026-07-28' } },
  })
  const opened: string[] = []
  client.setRequestHandler('elicitation/create', ({ params }) => {
    const { url } = params as unknown as { url: string }
    opened.push(url)
    // As somebody is: still at it when the client comes back.
    void open(url)
    return { action }
  })
  const agent: Agent = {
    opened,
    elicitations: wantedIn,
    completed: [],
    changes: 0,
    call: (name, args = {}) => client.callTool({ name, arguments: args }, { timeout: 60_000 }),
    tools: async () =>
      (await client.listTools(undefined, { cacheMode: 'refresh' })).tools.map(({ name }) => name),
    watchTools: async () => void (await client.listen({ toolsListChanged: true })),
    close: () => client.close(),
  }
  client.setNotificationHandler('notifications/tools/list_changed', () => void agent.changes++)
  await client.connect(new Http2(new URL(access.url), transport(access)))
  return agent
}

/** @param opensPages false: as clients were before 2025-11-25 */
export async function legacyAgent(access: Access, opensPages = true): Promise<Agent> {
  const client = new Client1(ABOUT, { capabilities: opensPages ? { elicitation: { url: {} } } : {} })
  const opened: string[] = []
  const completed: string[] = []
  if (opensPages) client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' }))
  const agent: Agent = {
    opened,
    elicitations: wantedIn,
    completed,
    changes: 0,
    call: (name, args = {}) => client.callTool({ name, arguments: args }),
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    watchTools: () => Promise.resolve(),
    close: () => client.close(),
  }
  client.setNotificationHandler(
    ElicitationCompleteNotificationSchema,
    ({ params }) => void completed.push(params.elicitationId),
  )
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void agent.changes++)
  await client.connect(new Http1(new URL(access.url), transport(access)))
  return agent
}

/** Who the server thinks is calling. */
export const whoIn = (result: Json): Json => JSON.parse(String(at(result, 'content.0.text'))) as Json

/** The link that a tool error holds for people. */
export const linkIn = (text: string): string => /http:\/\/[^\s"\\]+\/connect\/[\w.-]+/.exec(text)?.[0] ?? ''

export const says = (page: Page): Promise<string> => page.innerText('body')

/** A browser of somebody who is signed in nowhere. */
export const openBrowser = async (browser: Browser): Promise<Page> => (await browser.newContext()).newPage()

export async function signInWithPassword(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('User', { exact: true }).fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** At the pages of the provider that the tests bring along. */
export async function logInAtProvider(page: Page, name: string): Promise<void> {
  await page.fill('input[name=login]', name)
  await page.fill('input[name=password]', 'anything')
  await page.click('button[type=submit]')
  await page.click('button:has-text("Continue")')
}

/** The whole way: signs in to Castellan, agrees, logs in at the provider, agrees there, and is back. */
export async function connectAccount(page: Page, url: string, name: string, account = name): Promise<void> {
  await page.goto(url)
  if (!(await says(page)).startsWith('Sign in')) throw new Error(`no page to sign in on: ${await says(page)}`)
  await signInWithPassword(page, name)
  await page.getByRole('button', { name: /^Continue to / }).click()
  await logInAtProvider(page, account)
  await page.getByRole('heading', { name: 'Connected' }).waitFor()
}
