import type { KindDefinition, Resource } from '../../kinds/define-kind.ts'
import { alignColumns, oneLine } from './format.ts'

/** What a cell shows at most; `wide` shows everything. */
const MAX_CELL = 60

/** The columns of the kind; a cell without a value is `-`. Without resources only the headings. */
export const renderTable = (
  definition: KindDefinition,
  resources: readonly Resource[],
  { wide }: { readonly wide: boolean },
): string => alignColumns([headings(definition, wide), ...tableRows(definition, resources, wide)])

const columnsOf = ({ columns }: KindDefinition, wide: boolean): KindDefinition['columns'] =>
  columns.filter((column) => wide || column.wide !== true)

export const headings = (definition: KindDefinition, wide: boolean): readonly string[] =>
  columnsOf(definition, wide).map(({ header }) => header)

/** The cells below the headings. */
export function tableRows(
  definition: KindDefinition,
  resources: readonly Resource[],
  wide: boolean,
): readonly (readonly string[])[] {
  const columns = columnsOf(definition, wide)
  const cell = (value: string | number | undefined): string => {
    const text = value === undefined ? '' : oneLine(String(value), wide ? undefined : MAX_CELL)
    return text === '' ? '-' : text
  }
  return resources.map((resource) => columns.map((column) => cell(column.of(resource))))
}

/** `server/everything`, one a line: what other commands take as an argument. */
export const renderNames = (definition: KindDefinition, resources: readonly Resource[]): string =>
  resources.map(({ metadata }) => `${definition.kind.toLowerCase()}/${metadata.name}\n`).join('')
