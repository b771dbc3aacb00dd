import { expect, test } from 'vitest'
import { createScreen } from './screen.ts'

function onto(terminal: { isTTY?: boolean; columns?: number }, env: Record<string, string> = {}) {
  let text = ''
  const screen = createScreen({ ...terminal, write: (more) => (text += more) }, env)
  return { screen, text: () => text }
}

test('into a pipe go whole lines, without colours and motion', () => {
  const { screen, text } = onto({})
  screen.begin('Working').done('Worked')
  screen.begin('Working more')
  screen.failed()
  screen.failed()
  expect(text()).toMatch(/^ {2}✓ Worked +0\.0 s\n {2}✗ Working more +0\.0 s\n$/)
})

test('NO_COLOR takes the colours, not the motion', () => {
  const { screen, text } = onto({ isTTY: true }, { NO_COLOR: '1' })
  screen.begin('Working').done('Worked')
  expect(text()).toContain('\r\x1b[K')
  expect(text()).not.toContain('\x1b[3')
})

test('on a terminal the mark has a colour, and no line is longer than the terminal is wide', () => {
  const { screen, text } = onto({ isTTY: true, columns: 40 })
  screen.begin('A label that is longer than this narrow terminal is wide')
  screen.failed()
  expect(text()).toContain('\x1b[31m✗')
  const [drawn = ''] = text().split('\r\x1b[K').slice(1)
  expect(drawn.replaceAll('\u001b', '').replaceAll(/\[\d+m/g, '').length).toBeLessThan(40)
})
