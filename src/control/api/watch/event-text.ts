import type { KindDefinition, Resource } from '../../../kinds/define-kind.ts'
import { alignColumns, columnWidths, type Output } from '../../render/format.ts'
import { headings, renderNames, tableRows } from '../../render/table.ts'
import { renderYaml } from '../../render/yaml.ts'
import type { Difference } from './resource-watch.ts'

/** How the events of one watch are written. */
export interface EventWriter {
  /** What stands above them, of a table. */
  readonly heading: string | undefined
  /** `data` of one event. */
  data(difference: Difference, resource: Resource | undefined): Promise<unknown>
}

/** @param first those that there are at the beginning: they say how wide the columns of a table are */
export function createEventWriter(
  definition: KindDefinition,
  output: Output,
  first: readonly Resource[],
): EventWriter {
  if (output === 'json')
    return {
      heading: undefined,
      data: (difference, resource) =>
        Promise.resolve({ ...about(difference), object: resource ?? gone(definition, difference) }),
    }
  const isTable = output === 'table' || output === 'wide'
  const write = isTable ? tableWriter(definition, output === 'wide', first) : undefined
  const text =
    write?.row ?? ((difference, resource) => documentOf(definition, output, { difference, resource }))
  return {
    heading: write?.heading,
    data: async (difference, resource) => ({ ...about(difference), text: await text(difference, resource) }),
  }
}

const about = ({ type, revision }: Difference): Pick<Difference, 'type' | 'revision'> => ({ type, revision })

/** Its name and nothing else: whoever may not see it any more is not told what it has become. */
const gone = ({ kind }: KindDefinition, { identity: { uid, name, project } }: Difference): unknown => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: { name, ...(project === '' ? {} : { project }), uid },
})

interface TableWriter {
  readonly heading: string
  readonly row: (difference: Difference, resource: Resource | undefined) => string
}

function tableWriter(definition: KindDefinition, wide: boolean, first: readonly Resource[]): TableWriter {
  const above = headings(definition, wide)
  const widths = columnWidths([above, ...tableRows(definition, first, wide)])
  return {
    heading: alignColumns([above], widths),
    row: ({ identity }, resource) =>
      alignColumns(
        resource === undefined ? [[identity.name, 'deleted']] : tableRows(definition, [resource], wide),
        widths,
      ),
  }
}

async function documentOf(
  definition: KindDefinition,
  output: Output,
  { difference: { identity }, resource }: { difference: Difference; resource: Resource | undefined },
): Promise<string> {
  const name = `${definition.kind.toLowerCase()}/${identity.name}`
  if (output === 'name')
    return resource === undefined ? `${name} deleted\n` : renderNames(definition, [resource])
  return resource === undefined ? `---\n# ${name} deleted\n` : `---\n${await renderYaml([resource])}`
}
