import { usage } from '../failure.ts'
import type { Provider } from './provider.ts'

/**
 * What stands in an argument is no secret: arguments can be read by every user of the machine.
 *
 * @throws CliFailure when a field is not there, or is a secret
 */
export function checkGiven(
  { fields }: Provider,
  { given, ask }: { readonly given: ReadonlyMap<string, string>; readonly ask: readonly string[] },
): void {
  const names = fields.map(({ name }) => name)
  for (const name of [...given.keys(), ...ask]) {
    const field = fields.find((one) => one.name === name)
    if (field === undefined)
      throw usage('this provider has no field by that name', `it has: ${names.join(', ')}`)
    if (field.secret && given.has(name))
      throw usage(
        'a secret value may not stand in an argument; this one should be replaced where it is valid',
        `leave it out, and it is asked for; or add: --ask ${name}`,
      )
  }
}
