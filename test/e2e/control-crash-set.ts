import type { Control } from './control-harness.ts'

/*
 * A set of 200 resources of several kinds, whose version stands in each of them: half of it is changed by each apply,
 * the other half is made by it.
 */

const EACH = 25

export const setOf = (
  version: number,
  made = `made${version}`,
): { readonly kind: 'List'; readonly items: readonly unknown[] } => ({
  kind: 'List',
  items: [...group('kept', version), ...group(made, version)],
})

function group(name: string, version: number): readonly unknown[] {
  const labels = { version: String(version) }
  const one = (kind: string, i: number, metadata: object, spec: object): unknown => ({
    apiVersion: 'castellan/v1',
    kind,
    metadata: { name: `${name}-${i}`, labels, ...metadata },
    spec,
  })
  return Array.from({ length: EACH }, (_, i) => [
    one('Secret', i, {}, { data: { key: `${name}-${version}-${i}` } }),
    one('Server', i, {}, { transport: 'stdio', command: `command-${version}` }),
    one('Project', i, {}, { servers: [`${name}-${i}`] }),
    one('Token', i, { project: `${name}-${i}` }, {}),
  ]).flat()
}

/**
 * The version that everything has.
 *
 * @throws Error when there is a part of one
 */
export function wholeVersion({ snapshot }: Pick<Control, 'snapshot'>): number {
  const found = new Map<string, number>()
  for (const { resource } of snapshot.state().byUid.values()) {
    const { name, labels } = resource.metadata
    const id = `${name.split('-', 1)[0]} ${labels['version']}`
    found.set(id, (found.get(id) ?? 0) + 1)
  }
  const version = Math.max(0, ...[...found.keys()].map((id) => Number(id.split(' ', 2)[1])))
  const wanted = Array.from({ length: version }, (_, i) => `made${i + 1} ${i + 1}`)
  if (version > 0) wanted.push(`kept ${version}`)
  const torn = [...found].filter(([id, count]) => count !== 4 * EACH || !wanted.includes(id))
  if (torn.length > 0 || found.size !== wanted.length) throw new Error(`torn: ${JSON.stringify([...found])}`)
  if (version === 0) return 0
  for (let i = 0; i < EACH; i++) {
    if (snapshot.secretValue(`kept-${i}`, 'key')?.reveal() !== `kept-${version}-${i}`)
      throw new Error('torn: a value of another version')
  }
  return version
}
