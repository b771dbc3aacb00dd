import { expect, test } from 'vitest'
import { faultCodes } from '../lib/fault.ts'
import { drawRequest } from './draw-request.ts'
import { STEPS } from './steps.ts'

test('docs/request.md is what the step table draws', async () => {
  await expect(drawRequest()).toMatchFileSnapshot('../../docs/request.md')
})

test('a step that changes place changes the drawing', () => {
  const names = STEPS.map(({ step }) => step)
  for (const [i, step] of names.entries()) {
    if (i === 0) continue
    const moved = STEPS.toSpliced(i, 1).toSpliced(i - 1, 0, ...STEPS.slice(i, i + 1))
    expect(drawRequest(moved), `${step} before ${names[i - 1]}`).not.toBe(drawRequest())
  }
})

test('a step that applies to one request less, or can end in one fault more, changes the drawing', () => {
  for (const [i, row] of STEPS.entries()) {
    expect(drawRequest(STEPS.with(i, { ...row, on: row.on.slice(1) })), row.step).not.toBe(drawRequest())
    expect(drawRequest(STEPS.with(i, { ...row, faults: [...row.faults, 'too_many'] })), row.step).not.toBe(
      drawRequest(),
    )
  }
})

test('every fault in the table is one of the catalogue', () => {
  for (const { step, faults } of STEPS)
    for (const fault of faults) expect(faultCodes(), step).toContain(fault)
})
