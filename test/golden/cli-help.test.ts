import { expect, test } from 'vitest'
import { runInMemory } from '../e2e/cli-in-memory.ts'
import { COMMANDS } from '../../src/main/commands.ts'

test('help of every verb', async () => {
  const paths = [[], ...COMMANDS.filter(({ hidden }) => hidden !== true).map(({ path }) => path)]
  const pages: string[] = []
  for (const path of paths) {
    const { code, out, err } = await runInMemory([...path, '--help'], { verbs: COMMANDS })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/\nExamples:\n {2}.*castellan/)
    pages.push(`$ castellan ${[...path, '--help'].join(' ')}\n${out}`)
  }
  await expect(pages.join('\n')).toMatchFileSnapshot('cli-help.golden.txt')
})
