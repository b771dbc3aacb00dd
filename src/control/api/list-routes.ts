import type { KindDefinition, Resource } from '../../kinds/define-kind.ts'
import { Fault } from '../../lib/fault.ts'
import { alignColumns, columnWidths, OUTPUTS, type Output } from '../render/format.ts'
import { headings, renderNames, renderTable, tableRows } from '../render/table.ts'
import { renderYaml } from '../render/yaml.ts'
import type { State } from '../snapshot/state.ts'
import {
  digestOf,
  MAX_WIDTH,
  readCursor,
  readPage,
  writeCursor,
  type Page,
  type PageRequest,
} from './list-page.ts'
import { present } from './present.ts'
import { flag, json, oneOf, text, wholeNumber, type KindCall, type KindRoute } from './route.ts'
import { readSelectors, SELECTORS } from './selectors.ts'
import { createWatchPlaces, watchKind, type WatchDeps } from './watch/watch-kind.ts'

export const PROJECT = 'The project, for kinds that belong to one.'

const QUERY = {
  output: `One of ${OUTPUTS.join(', ')}; default json.`,
  project: PROJECT,
  ...SELECTORS,
  limit: 'How many at most in this answer, 1 to 10000; `continue` leads to the rest. Default: all.',
  watch:
    'true: what changes, as server-sent events, after what there is: started, created, changed, deleted, ended.',
  since:
    'With watch: a `metadata.revision` up to which everything is known; so is `Last-Event-ID`, and is newer.',
  continue: '`metadata.continue` of the page before; everything else as it was there.',
}

/** Lists of what the caller may see, from the snapshot, by project and name. */
export function listRoutes(deps: WatchDeps): readonly KindRoute[] {
  const places = createWatchPlaces()
  return [
    {
      method: 'GET',
      path: '/api/v1/{word}',
      summary:
        'All of a kind, or a page of it; a Link header with rel="next" leads to the next one. Or a watch.',
      query: QUERY,
      headers: {
        'Last-Event-ID': 'With watch: the id of the last event that was seen; the watch goes on there.',
      },
      permission: { verb: 'view', kind: '{word}' },
      answer: {
        status: 200,
        types: ['application/json', 'application/yaml', 'text/plain', 'text/event-stream'],
      },
      handleKind: (call) =>
        flag('watch', call.query['watch']) ? watchKind(deps, call, places) : answerList(deps, call),
    },
  ]
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER

async function answerList(deps: WatchDeps, call: KindCall): Promise<Response> {
  const { definition, query, access } = call
  const output = oneOf('output', query['output'] ?? 'json', OUTPUTS)
  const { project, labelSelector, fieldSelector } = query
  const list = digestOf([definition.kind, output, project, labelSelector, fieldSelector])
  const after = readCursor(query['continue'], list)
  const selects = readSelectors(definition, query)
  const limit = wholeNumber('limit', query['limit'], { max: 10_000, fallback: NO_LIMIT })
  if (limit === 0) throw new Fault('invalid', { problems: ['limit: must be at least 1'] })
  if (query['since'] !== undefined)
    throw new Fault('invalid', { problems: ['since: goes together with watch only'] })
  const state = deps.snapshot.state()
  const wanted: PageRequest['wanted'] = (stored) => selects(stored) && access.sees(stored)
  const request = { definition, project, wanted, limit, after }
  const page = readPage(state, request)
  const widths = after?.widths ?? (await widthsOf(deps, { state, request, page, output }))
  const next = nextOf(page, widths, list)
  const shown = await present(deps, page.all)
  const isFirst = after === undefined
  const answer = await renderPage({ definition, output, page, shown, widths, next, isFirst })
  return next === undefined ? answer : withLink(answer, call.request.url, next)
}

/** The first page knows how wide the columns of all of them are. */
async function widthsOf(
  deps: WatchDeps,
  given: { state: State; request: PageRequest; page: Page; output: Output },
): Promise<readonly number[]> {
  const { state, request, page, output } = given
  if (page.isLast || (output !== 'table' && output !== 'wide')) return []
  const { all } = readPage(state, { ...request, limit: NO_LIMIT })
  const { definition } = request
  const wide = output === 'wide'
  const rows = [headings(definition, wide), ...tableRows(definition, await present(deps, all), wide)]
  return columnWidths(rows).map((width) => Math.min(width, MAX_WIDTH))
}

function nextOf(
  { all, isLast, revision }: Page,
  widths: readonly number[],
  list: string,
): string | undefined {
  const last = all.at(-1)
  if (isLast || last === undefined) return undefined
  return writeCursor({ revision, project: last.project, name: last.resource.metadata.name, widths }, list)
}

interface Rendering {
  readonly definition: KindDefinition
  readonly output: Output
  readonly page: Page
  readonly shown: readonly Resource[]
  /** Empty: as wide as this page needs. */
  readonly widths: readonly number[]
  readonly next: string | undefined
  readonly isFirst: boolean
}

function renderPage({
  definition,
  output,
  page,
  shown,
  widths,
  next,
  isFirst,
}: Rendering): Promise<Response> {
  if (output === 'json') {
    const metadata = { revision: page.revision, ...(next === undefined ? {} : { continue: next }) }
    return Promise.resolve(
      json({ apiVersion: 'castellan/v1', kind: `${definition.kind}List`, metadata, items: shown }),
    )
  }
  if (widths.length === 0 || output === 'yaml' || output === 'name') return asText(definition, shown, output)
  const wide = output === 'wide'
  const rows = tableRows(definition, shown, wide)
  return Promise.resolve(text(alignColumns(isFirst ? [headings(definition, wide), ...rows] : rows, widths)))
}

/** RFC 8288: every output has its next page there, also those with no place for it inside. */
function withLink(answer: Response, address: string, next: string): Response {
  const { pathname, searchParams } = new URL(address)
  searchParams.set('continue', next)
  answer.headers.set('link', `<${pathname}?${searchParams.toString()}>; rel="next"`)
  return answer
}

export async function asText(
  definition: KindDefinition,
  resources: readonly Resource[],
  output: Exclude<Output, 'json'>,
): Promise<Response> {
  if (output === 'yaml') return text(await renderYaml(resources), 'application/yaml')
  if (output === 'name') return text(renderNames(definition, resources))
  return text(renderTable(definition, resources, { wide: output === 'wide' }))
}
