import { callApi } from '../api.ts'
import { printText } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { auditQuery, FILTER_OPTIONS } from './audit-filter.ts'

export const audit = defineCommand({
  options: FILTER_OPTIONS,
  about: 'Newest last. Arguments and results are never recorded.',
  examples: [
    'castellan audit --since 1h',
    'castellan audit -p demo --tool everything__echo -o json',
    'castellan audit --user ada --decision deny --since 7d',
    'castellan audit --kind sign_in',
    'castellan audit --grant oauth:notion -o wide',
    'castellan audit sessions --since 1d',
    'castellan audit verify',
  ],
  async run({ options, target, context }) {
    const query = auditQuery(options)
    printText(context.stdout, await callApi(target(), ['audit'], { query }))
    return 0
  },
})
