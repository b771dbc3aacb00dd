import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'

export const status = defineCommand({
  options: { output: choice('-o, --output <format>', 'how to print it', ['table', 'json']) },
  examples: ['castellan status', 'castellan status -o json'],
  async run({ options: { output = 'table' }, target, context }) {
    printText(context.stdout, await callApi(target(), ['status'], { query: { output } }))
    return 0
  },
})
