import { callApi, jsonBody } from './api.ts'
import { printLines } from './context.ts'
import type { Given, Options } from './define-command.ts'

export interface NewObject {
  readonly kind: string
  readonly plural: string
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly spec: object
}

/** Makes one object of a kind that belongs to no project, and says so. Fields that are undefined are left out. */
export async function createObject(
  { target, context }: Pick<Given<Options>, 'target' | 'context'>,
  { kind, plural, name, labels, spec }: NewObject,
): Promise<number> {
  const manifest = { apiVersion: 'castellan/v1', kind, metadata: { name, labels }, spec }
  await callApi(target(), [plural], { method: 'POST', body: jsonBody(manifest), once: true })
  printLines(context.stdout, [`${kind.toLowerCase()}/${name} created`])
  return 0
}

/** A list that is left out where nothing was given, so that the default of the field holds. */
export const unlessEmpty = <T>(given: readonly T[]): readonly T[] | undefined =>
  given.length === 0 ? undefined : given
