import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { findEmbeddedPostgres, startPostgres } from '../fixtures/postgres.ts'
import type { Step } from './guide-page.ts'
import { openTerminal, type Terminal } from './guide-terminal.ts'
import { castellan, type createCleanUp } from './system-harness.ts'

/* The reader of a guide: in an empty home, with a terminal for each person. */

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

type CleanUp = ReturnType<typeof createCleanUp>

/** What stands in the page, and what stands for it here: addresses alone. */
export type Real = readonly (readonly [documented: string, real: string])[]

const toReal = (text: string, real: Real): string =>
  real.reduce((all, [documented, here]) => all.replaceAll(documented, here), text)
const toDocumented = (text: string, real: Real): string =>
  real.reduce((all, [documented, here]) => all.replaceAll(here, documented), text)

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Where the reader begins: the checkout is `castellan`, and the guide has a folder of its own. */
export function makeReadersHome(folder: string, cleanUp: CleanUp): string {
  const home = mkdtempSync(join(tmpdir(), 'castellan-guide-'))
  cleanUp.later(() => rmSync(home, { recursive: true, force: true }))
  symlinkSync(REPOSITORY, join(home, 'castellan'))
  mkdirSync(join(home, folder))
  return home
}

export async function startDatabase(cleanUp: CleanUp): Promise<string> {
  const postgres = await startPostgres(await findEmbeddedPostgres())
  cleanUp.later(() => postgres.close())
  return postgres.createDatabase('castellan')
}

export interface Reader {
  /** The page, below the repository: where a command is that does not do what it should. */
  readonly page: string
  readonly home: string
  readonly real: Real
  /** What is in the environment of a terminal besides its search path and its home. */
  readonly env: (terminal: string) => Readonly<Record<string, string>>
  /** What is run for a command that bears this mark. */
  readonly runs?: Readonly<Record<string, (command: string, terminal: string) => string>>
  /** What the person does with what a step has printed; the mark is on the step. */
  readonly acts?: Readonly<Record<string, (printed: string, terminal: string) => Promise<void>>>
}

/** @returns what each step printed, in the words of the page */
export async function workThrough(
  steps: readonly Step[],
  { page, home, real, env, runs = {}, acts = {} }: Reader,
): Promise<ReadonlyMap<Step, string>> {
  const terminals = new Map<string, Terminal>()
  const every = steps.filter(({ terminal }) => terminal === 'every')
  const printed = new Map<Step, string>()
  const carryOut = async (terminal: Terminal, step: Step): Promise<void> => {
    let all = ''
    for (const command of step.commands) {
      const run = step.marks.map((mark) => runs[mark]).find((one) => one !== undefined)
      const said = await terminal.run(toReal(run?.(command, step.terminal) ?? command, real))
      all += said.printed
      const isAsMeant = (said.status === 0) !== step.marks.includes('refused')
      expect(isAsMeant, `${page}:${step.line}: ${command}\n${said.printed}`).toBe(true)
    }
    printed.set(step, toDocumented(all, real).trimEnd())
    for (const mark of step.marks) await acts[mark]?.(all, step.terminal)
  }
  for (const step of steps) {
    if (step.terminal === 'every') continue
    let terminal = terminals.get(step.terminal)
    if (terminal === undefined) {
      terminal = openTerminal(home, {
        PATH: process.env['PATH'],
        HOME: home,
        // No keychain: that of whoever runs the tests is none of our business.
        DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/none`,
        ...env(step.terminal),
      })
      terminals.set(step.terminal, terminal)
      for (const one of every) await carryOut(terminal, one)
    }
    await carryOut(terminal, step)
  }
  for (const terminal of terminals.values()) terminal.close()
  return printed
}

/** Where a command was not what it should be, the daemons of the guide are still there. */
export async function endDaemons(homes: readonly string[]): Promise<void> {
  for (const home of homes) await castellan(['down', '--force', '--home', home])
}
