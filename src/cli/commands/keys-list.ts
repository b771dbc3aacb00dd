import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { choice, defineCommand } from '../define-command.ts'

export const keysList = defineCommand({
  options: { output: choice('-o, --output <format>', 'how to print it', ['table', 'json']) },
  examples: ['castellan keys list', 'castellan keys list -o json'],
  async run({ options: { output = 'table' }, target, context }) {
    printText(context.stdout, await callApi(target(), ['keys'], { query: { output } }))
    return 0
  },
})
