import { afterAll, beforeAll, expect, test } from 'vitest'
import { CELLS, nameOf, openCells, type Cells } from './cells.ts'

let cells: Cells
beforeAll(async () => {
  cells = await openCells()
})
afterAll(async () => {
  await cells?.close()
})

test.concurrent.for(CELLS.map((cell) => [nameOf(cell), cell] as const))(
  'the gateway meets what is required of a server: %s',
  { timeout: 300_000 },
  async ([, cell]) => {
    const { code, summary } = await cells.run(cell)
    expect(code, summary).toBe(0)
  },
)
