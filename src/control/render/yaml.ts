import type { Resource } from '../../kinds/define-kind.ts'
import { createPause } from '../pause.ts'

/** One document for each resource; `apply` takes them back as they are. */
export async function renderYaml(resources: readonly Resource[]): Promise<string> {
  // Loaded on first use, as in parse-manifests.ts.
  const { stringify } = await import('yaml')
  // Long lines are not folded: what somebody greps for should stand on one. Aliases would hide what a field holds.
  const options = { lineWidth: 0, aliasDuplicateObjects: false } as const
  const documents: string[] = []
  const pause = createPause()
  for (const resource of resources) {
    documents.push(stringify(jsonOf(resource), options))
    await pause()
  }
  return documents.join('---\n')
}

/** As JSON has it: without fields that are undefined. */
const jsonOf = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
