import { callApi } from '../api.ts'
import { printLines } from '../context.ts'
import { defineCommand, list } from '../define-command.ts'
import { CliFailure, usage } from '../failure.ts'
import { readManifests } from '../manifests.ts'
import * as options from '../options.ts'
import { parseReference } from '../reference.ts'

export const remove = defineCommand({
  arguments: ['[kind]', '[names...]'],
  complete: ['kind', 'name'],
  options: {
    project: options.project,
    file: list('-f, --filename <file>', 'delete what a manifest (file, directory or -) names'),
  },
  about: 'An object that others refer to stays, and the answer says who refers to it.',
  examples: [
    'castellan delete server everything',
    'castellan delete token laptop build -p demo',
    'castellan delete -f servers.yaml',
  ],
  async run({ args, options: { project, file }, target, context }) {
    const objects = file.length > 0 ? await objectsIn(file, { args, context }) : objectsOf(args, project)
    const failures: CliFailure[] = []
    for (const { kind, name, project: within } of objects) {
      try {
        await callApi(target(), [kind, name], { method: 'DELETE', query: { project: within } })
        printLines(context.stdout, [`${kind}/${name} deleted`])
      } catch (error) {
        if (!(error instanceof CliFailure) || objects.length === 1) throw error
        failures.push(error)
        printLines(context.stderr, [`${kind}/${name} not deleted: ${error.message}`])
      }
    }
    if (failures[0] !== undefined) throw failures[0]
    return 0
  },
})

interface Named {
  readonly kind: string
  readonly name: string
  readonly project: string | undefined
}

function objectsOf(args: readonly string[], project: string | undefined): Named[] {
  const [first] = args
  if (first === undefined) throw usage('nothing to delete is named', 'write: castellan delete server NAME')
  const references = first.includes('/')
    ? args.map((arg) => parseReference([arg]))
    : args.slice(1).map((name) => parseReference([first, name]))
  if (references.length === 0) throw usage('a name is missing', 'castellan get KIND lists the names')
  return references.map(([kind, name]) => {
    if (name === undefined)
      throw usage('kind/name and plain names are mixed', 'write all of them as kind/name')
    return { kind, name, project }
  })
}

async function objectsIn(
  files: readonly string[],
  given: { readonly args: readonly string[]; readonly context: Parameters<typeof readManifests>[1] },
): Promise<Named[]> {
  if (given.args.length > 0) throw usage('-f and names cannot be combined', 'give one of them')
  // The one verb that must read manifests here: the API deletes by name. YAML is loaded only for this.
  const { parseAllDocuments } = await import('yaml')
  const documents = parseAllDocuments(await readManifests(files, given.context))
  if (!Array.isArray(documents))
    throw usage('the manifest holds no document', 'see: castellan explain server')
  const named = documents.flatMap((document) => {
    if (document.errors.length > 0)
      throw usage('the manifest is not valid YAML', 'castellan apply --dry-run -f says where')
    return namesIn(document.toJS({ maxAliasCount: 100 }))
  })
  // What refers to others usually stands after them, so it goes first.
  return named.toReversed()
}

interface Manifest {
  readonly kind?: unknown
  readonly items?: unknown
  readonly metadata?: { readonly name?: unknown; readonly project?: unknown }
}

function namesIn(value: unknown): Named[] {
  if (value === null || value === undefined) return []
  const { kind, items, metadata } = value as Manifest
  if (Array.isArray(items)) return items.flatMap(namesIn)
  const name = metadata?.name
  if (typeof kind !== 'string' || typeof name !== 'string')
    throw usage('a document in the manifest has no kind or no metadata.name', 'add them')
  return [
    {
      kind: kind.toLowerCase(),
      name,
      project: typeof metadata?.project === 'string' ? metadata.project : undefined,
    },
  ]
}
