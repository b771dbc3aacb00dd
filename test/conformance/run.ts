import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { CELLS, expectedFailuresOf, nameOf, openCells } from './cells.ts'
import { renderTable, tabulate, unexpected, type Column } from './table.ts'

/**
 * `npm run conformance`: the official suite in every cell, and one table of what came of it. Exit code 1 when anything
 * failed that no file of expected failures names, or when such a file names something that passes.
 */

const PAGE = new URL('../../docs/conformance.md', import.meta.url)
const START = '<!-- table: npm run conformance -- --write -->'

async function runServerCells(): Promise<readonly Column[]> {
  const cells = await openCells()
  try {
    return await Promise.all(
      CELLS.map(async (cell): Promise<Column> => {
        const [run, expected] = await Promise.all([
          cells.run(cell),
          readFile(expectedFailuresOf(cell), 'utf8'),
        ])
        return { heading: nameOf(cell), role: 'server', requirements: cell.requirements, run, expected }
      }),
    )
  } finally {
    await cells.close()
  }
}

async function report(columns: readonly Column[]): Promise<string> {
  const headings = columns.map(({ heading }) => heading)
  return renderTable(headings, await tabulate('server', columns))
}

/** What failed and how, for whoever has to mend it. */
function explain(columns: readonly Column[]): string {
  return columns
    .flatMap(({ heading, run, expected }) =>
      run.results
        .filter(({ scored }) => scored)
        .flatMap((result) =>
          unexpected(result, expected).map((why) => `${heading}: ${result.scenario}: ${why}`),
        ),
    )
    .join('\n')
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const columns = await runServerCells()
const table = await report(columns)
if (values.write) {
  const page = await readFile(PAGE, 'utf8')
  await writeFile(PAGE, `${page.slice(0, page.indexOf(START) + START.length)}\n\n${table}\n`)
}
const failed = columns.filter(({ run }) => run.code !== 0)
process.stdout.write(`${table}\n${explain(columns)}\n`)
for (const { heading, run } of failed)
  process.stdout.write(`\n${heading}: exit code ${run.code}\n${run.summary}\n`)
process.exitCode = failed.length === 0 ? 0 : 1
