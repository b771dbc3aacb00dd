import type { AgentCli } from './clis.ts'

/** One run of an agent. */
export interface Case {
  /** Head of its column in the table. */
  readonly what: string
  readonly script: readonly string[]
  /** Each is found in what the agent prints at the end. */
  readonly expect: (cli: AgentCli) => readonly RegExp[]
  /** `tools/call` in the record. */
  readonly calls: (cli: AgentCli) => number
  /** The agent is given a program instead of an address. */
  readonly piped?: boolean
}

const echo = (message: string) => `CALL everything__echo ${JSON.stringify({ message })}`
const simple = (server: string): Case => ({
  what: `${server === 'old' ? 'legacy' : 'modern'}-only server`,
  script: [`CALL ${server}__test_simple_text {}`],
  expect: () => [/This is a simple text response/],
  calls: () => 1,
})

/** Nobody is there to answer, so the clients do, each in its own way, and the tool says what it heard. */
const question = (server: string): Case => ({
  what: `${server === 'old' ? 'legacy' : 'modern'} server asks`,
  script: [`CALL ${server}__test_elicitation {"message":"Who are you?"}`],
  expect: ({ answersQuestions }) =>
    answersQuestions === undefined
      ? [/does not support form elicitation|do not declare the required capability/]
      : [new RegExp(`action: ${answersQuestions}`)],
  // A modern client is asked in the answer, and calls again with its own.
  calls: ({ era }) => (era === 'modern' ? 2 : 1),
})

/** The link is in what the model hears. Codex takes a page in 2026-07-28 only with an id, which that revision has not. */
const account: Case = {
  what: 'account to connect',
  script: ['CALL mine__connect {}'],
  expect: ({ era }) =>
    era === 'modern'
      ? [/unsupported MCP input request/]
      : [/has to connect an account of theirs.*\/connect\/cco1\./],
  calls: () => 1,
}

const RESTART = {
  script: [echo('before'), 'HOOK restart', echo('after')],
  expect: () => [/Echo: before/, /Echo: after/],
  calls: () => 2,
}

export const CASES: readonly Case[] = [
  { what: 'one call', script: [echo('hello')], expect: () => [/Echo: hello/], calls: () => 1 },
  { what: 'restart of the daemon', ...RESTART },
  simple('old'),
  simple('new'),
  question('old'),
  question('new'),
  account,
  { what: 'restart, by connect', ...RESTART, piped: true },
]
