import { pipeline } from 'node:stream/promises'
import { streamApi } from '../api.ts'
import { defineCommand, flag, text } from '../define-command.ts'
import { usage } from '../failure.ts'

export const logs = defineCommand({
  arguments: ['[server]', '[name]'],
  complete: [['server', 'instance'], 'name'],
  options: {
    follow: flag('-f, --follow', 'go on printing what is written from now on'),
    tail: text('--tail <number>', 'begin so many lines before the end (default: 200)'),
  },
  about:
    "Without arguments, the daemon's own log; with `server NAME`, what that stdio server wrote to its standard error; with `instance NAME`, what one copy of it wrote.",
  examples: [
    'castellan logs -f',
    'castellan logs server memory --tail 50',
    'castellan logs instance memory-1',
  ],
  async run({ args: [word, given], options: { follow, tail = '200' }, target, context }) {
    if (!/^\d{1,7}$/.test(tail)) throw usage('--tail is not a number of lines', 'write: --tail 50')
    const path = pathOf(word, given)
    const stream = await streamApi(target(), path, { tail, follow: follow ? true : undefined })
    await pipeline(stream, context.stdout, { end: false })
    return 0
  },
})

function pathOf(word: string | undefined, given: string | undefined): readonly string[] {
  if (word === undefined) return ['logs']
  const [kind, name = given] = word.split('/')
  const plural = /^(?:servers?|srv)$/i.test(kind ?? '')
    ? 'servers'
    : /^ins(?:tances?)?$/i.test(kind ?? '')
      ? 'instances'
      : undefined
  if (plural === undefined || name === undefined || name === '')
    throw usage(
      'only the daemon, servers and instances have logs',
      'write: castellan logs, or castellan logs server NAME',
    )
  return [plural, name, 'logs']
}
