import type { CliContext } from '../context.ts'

const VARIABLES = ['CASTELLAN_URL', 'CASTELLAN_HOME']

/** What to say where variables go before the current context: nothing would seem to have changed. */
export function stronger({ env }: Pick<CliContext, 'env'>, name: string): string[] {
  const set = VARIABLES.filter((variable) => (env[variable] ?? '') !== '')
  return set.length === 0
    ? []
    : [`${set.join(' and ')} goes before it here: unset it, or give --context ${name}`]
}
