import { defineCommand, flag, list, text } from '../define-command.ts'
import { giveMcpGrant } from '../granting/give-mcp.ts'
import { GIVE_OPTIONS } from '../granting/give-options.ts'

export const grantMcp = defineCommand({
  arguments: ['<name>'],
  options: {
    server: text('--server <name>', 'the server that it is for (default: that of the same name)', 'servers'),
    url: list('--url <url>', 'the address that it is for, where there is no server (yet); repeatable'),
    stdin: flag('--stdin', 'read the key from standard input; otherwise you are asked'),
    ...GIVE_OPTIONS,
  },
  about:
    'The key is sent to the server, or the addresses, that it is given for, and nowhere else. It never stands in an argument and is never shown.',
  examples: [
    'castellan grant mcp context7',
    'castellan grant mcp search --server brave --mine',
    'pass show context7 | castellan grant mcp context7 --url https://mcp.context7.com/mcp --stdin',
  ],
  async run({ args: [word = ''], options: { url: urls, ...more }, target, context }) {
    await giveMcpGrant({ word, urls, ...more }, { target, context })
    return 0
  },
})
