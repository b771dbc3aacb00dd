import { printLines } from '../context.ts'
import { configPath, HOME_CONTEXT, readConfig } from '../contexts/config-file.ts'
import { defineCommand } from '../define-command.ts'

export const configCurrentContext = defineCommand({
  options: {},
  globals: [],
  examples: ['castellan config current-context'],
  async run({ context }) {
    printLines(context.stdout, [readConfig(configPath(context)).current ?? HOME_CONTEXT])
    return 0
  },
})
