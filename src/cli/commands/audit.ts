import { momentMs } from '../../lib/time-text.ts'
import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { choice, defineCommand, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { project } from '../options.ts'

export const audit = defineCommand({
  options: {
    project,
    principal: text('--principal <name>', 'only what this caller did'),
    tool: text('--tool <name>', 'only calls of this tool'),
    since: text('--since <time>', 'only from then on: a duration back from now (30m, 1h, 7d) or a date'),
    until: text('--until <time>', 'only until then, written likewise'),
    limit: text('--limit <number>', 'at most so many, the newest'),
    output: choice('-o, --output <format>', 'how to print it', ['table', 'wide', 'yaml', 'json']),
  },
  about: 'Newest last. Arguments and results are never recorded.',
  examples: [
    'castellan audit --since 1h',
    'castellan audit -p demo --tool everything__echo -o json',
    'castellan audit verify',
  ],
  async run({ options: given, target, context }) {
    const { since, until, limit, output = 'table', ...filter } = given
    if (limit !== undefined && !/^[1-9]\d{0,6}$/.test(limit))
      throw usage('--limit is not a number of entries', 'write: --limit 100')
    const nowMs = Date.now()
    const query = {
      ...filter,
      since: since === undefined ? undefined : readTime('--since', since, nowMs),
      until: until === undefined ? undefined : readTime('--until', until, nowMs),
      limit,
      output,
    }
    printText(context.stdout, await callApi(target(), ['audit'], { query }))
    return 0
  },
})

/** @returns RFC 3339, UTC */
function readTime(option: string, given: string, nowMs: number): string {
  const atMs = momentMs(given, nowMs)
  if (atMs === undefined)
    throw usage(
      `${option} is neither a duration nor a date`,
      'write 30m, 1h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z',
    )
  return new Date(atMs).toISOString()
}
