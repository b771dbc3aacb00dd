import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { auditQuery, FILTER_OPTIONS } from './audit-filter.ts'

export const auditSessions = defineCommand({
  options: FILTER_OPTIONS,
  about:
    'The one used last at the end. Options choose the requests that are counted. Requests of clients without sessions (2026-07-28) are one line for each caller and project.',
  examples: [
    'castellan audit sessions --since 1d',
    'castellan audit sessions -p demo --user ada',
    'castellan audit sessions --decision deny -o json',
  ],
  async run({ options, target, context }) {
    const query = auditQuery(options)
    printText(context.stdout, await callApi(target(), ['audit', 'sessions'], { query }))
    return 0
  },
})
