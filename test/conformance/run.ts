import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { CELLS, expectedFailuresOf, nameOf, openCells } from './cells.ts'
import { openClientRole } from './client.ts'
import { renderTable, tabulate, unexpected, type Column } from './table.ts'

/**
 * `npm run conformance`: the official suite in every cell and in the client role, and one table of what came of it. Exit
 * code 1 when anything failed that no file of expected failures names, or when such a file names something that passes.
 */

const PAGE = new URL('../../docs/conformance.md', import.meta.url)
const START = '<!-- table: npm run conformance -- --write -->'

async function runServerCells(): Promise<readonly Column[]> {
  const cells = await openCells()
  const runCell = async (cell: (typeof CELLS)[number]): Promise<Column> => ({
    heading: nameOf(cell),
    role: 'server',
    requirements: cell.requirements,
    run: await cells.run(cell),
    expected: await readFile(expectedFailuresOf(cell), 'utf8'),
  })
  try {
    return await Promise.all(CELLS.map(runCell))
  } finally {
    await cells.close()
  }
}

async function runClientRole(): Promise<readonly Column[]> {
  const client = await openClientRole()
  const columns: Column[] = []
  try {
    for (const requirements of ['2025-11-25', '2026-07-28'] as const) {
      const file = new URL(`expected-failures-client-role-${requirements}.yml`, import.meta.url).pathname
      columns.push({
        heading: `gateway as client, ${requirements}`,
        role: 'client',
        requirements,
        run: await client.run(requirements, file),
        expected: await readFile(file, 'utf8'),
      })
    }
  } finally {
    await client.close()
  }
  return columns
}

/** What failed and how, for whoever has to mend it. */
function explain(columns: readonly Column[]): string {
  const lines = columns.flatMap(({ heading, run, expected }) =>
    run.results
      .filter(({ scored }) => scored)
      .flatMap((result) =>
        unexpected(result, expected).map((why) => `${heading}: ${result.scenario}: ${why}`),
      ),
  )
  const failed = columns.filter(({ run }) => run.code !== 0)
  return [
    ...lines,
    ...failed.map(({ heading, run }) => `\n${heading}: exit code ${run.code}\n${run.summary}`),
  ].join('\n')
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const columns = [...(await runServerCells()), ...(await runClientRole())]
const table = renderTable(
  columns.map(({ heading }) => heading),
  [...(await tabulate('server', columns)), ...(await tabulate('client', columns))],
)
process.stdout.write(`${table}\n${explain(columns)}\n`)
if (values.write) {
  const page = await readFile(PAGE, 'utf8')
  await writeFile(PAGE, `${page.slice(0, page.indexOf(START) + START.length)}\n\n${table}\n`)
}
process.exitCode = columns.every(({ run }) => run.code === 0) ? 0 : 1
