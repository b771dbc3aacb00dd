import { printLines } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'

export const version = defineCommand({
  options: { output: choice('-o, --output <format>', 'how to print it', ['text', 'json']) },
  globals: [],
  examples: ['castellan version', 'castellan version -o json'],
  async run({ options: { output }, context }) {
    const { version, commit = 'unknown', buildDate = 'not built (run from source)', node } = context.version()
    printLines(
      context.stdout,
      output === 'json'
        ? [JSON.stringify({ version, commit, buildDate, node })]
        : [`castellan ${version}`, `commit    ${commit}`, `built     ${buildDate}`, `node      ${node}`],
    )
    return 0
  },
})
