import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeProviders } from './describe-providers.ts'
import { BUILT_IN, openProviders } from './registry.ts'

let home = ''
let folder = ''
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-providers-'))
  folder = join(home, 'providers')
  await mkdir(folder)
})
afterEach(() => rm(home, { recursive: true, force: true }))

const fileOf = (name: string, host: string, more = ''): string =>
  `name: ${name}\ndescription: Of a test.\nhosts: [${host}]\ninject: { header: X-Key }\n${more}`
const put = (file: string, text: string): Promise<void> => writeFile(join(folder, file), text)
const current = () => openProviders(folder).current()

test('without files there is what comes with Castellan', async () => {
  await rm(folder, { recursive: true })
  const providers = await current()
  expect(providers.items).toEqual(BUILT_IN)
  expect(providers.problems).toEqual([])
  expect(providers.need('gh').id).toBe('github')
  const described = describeProviders(providers)
  expect(described.items.map(({ id }) => id)).toEqual(BUILT_IN.map(({ id }) => id))
  expect(described.items.find(({ id }) => id === 'npm')?.qualifier).toEqual({
    name: 'host',
    example: 'registry.example.com',
    default: 'registry.npmjs.org',
  })
})

describe('a file', () => {
  test('adds a provider, which is there as soon as the file is, changes with it and goes with it', async () => {
    const registry = openProviders(folder)
    expect((await registry.current()).find('acme')).toBeUndefined()
    await put('acme.yaml', fileOf('acme', 'a.example', 'aliases: [ac]'))
    const first = await registry.current()
    expect(first.need('ac').origins).toEqual(['https://a.example'])
    expect(await registry.current()).toBe(first)
    await put('acme.yaml', fileOf('acme', 'b.example'))
    expect((await registry.current()).need('acme').origins).toEqual(['https://b.example'])
    await rm(join(folder, 'acme.yaml'))
    expect((await registry.current()).find('acme')).toBeUndefined()
  })

  test('stands before one that is shipped', async () => {
    await put('gitlab.yaml', fileOf('gitlab', 'gitlab.acme.example', 'aliases: [brave]'))
    const { items, need, problems } = await current()
    expect(problems).toEqual([])
    expect(need('gitlab').origins).toEqual(['https://gitlab.acme.example'])
    expect(items.filter(({ id }) => id === 'gitlab')).toHaveLength(1)
    expect(need('brave').id).toBe('gitlab')
    expect(need('brave-search').aliases).toEqual([])
  })

  test.each([
    ['github', '', 'github is a provider that is built in'],
    ['acme', 'aliases: [claude-code]', 'claude-code is a provider that is built in'],
    ['mcp-acme', '', 'mcp-acme reads like a grant of mcp'],
  ])('may not be called %s %s', async (name, more, sentence) => {
    await put('x.yaml', fileOf(name, 'a.example', more))
    const { problems, need } = await current()
    expect(problems).toEqual([`x.yaml:1:1: ${sentence}; choose another name`])
    expect(need('github').from).toBe('compiled')
  })

  test('that is wrong is refused by its name, and nothing that is shipped takes its place', async () => {
    await put('gitlab.yaml', fileOf('gitlab', 'gitlab.acme.example', 'promt: x'))
    const { problems, need, find, items } = await current()
    const problem = 'gitlab.yaml:5:1: field promt is unknown; did you mean prompt?'
    expect(problems).toEqual([problem])
    expect(find('gitlab')).toBeUndefined()
    expect(items.map(({ id }) => id)).not.toContain('gitlab')
    expect(() => need('gitlab')).toThrowError(
      expect.objectContaining({ code: 'invalid', problems: [problem] }),
    )
  })

  test('of a name that another one has is refused; the first stands', async () => {
    await put('a.yaml', fileOf('acme', 'a.example'))
    await put('b.yaml', fileOf('acme', 'b.example'))
    const { problems, need } = await current()
    expect(problems).toEqual(['b.yaml:1:1: acme is taken by another file; choose another name'])
    expect(need('acme').origins).toEqual(['https://a.example'])
  })

  test('is no link, no folder, not large, UTF-8, and ends with .yaml', async () => {
    await writeFile(join(home, 'real.yaml'), fileOf('linked', 'a.example'))
    await symlink(join(home, 'real.yaml'), join(folder, 'a-link.yaml'))
    await mkdir(join(folder, 'b-folder.yaml'))
    await put('c-large.yaml', `# ${'x'.repeat(64 * 1024)}`)
    await writeFile(join(folder, 'd-bytes.yaml'), Buffer.from([0xff, 0xfe]))
    await put('e-short.yml', fileOf('short', 'a.example'))
    await put('f canary.yaml', 'x')
    await put('notes.txt', 'not read')
    const { problems, items } = await current()
    expect(problems).toEqual([
      'a-link.yaml: is a link: put the file itself here',
      'b-folder.yaml: must be a file',
      'c-large.yaml: is larger than 64 KiB',
      'd-bytes.yaml: is not UTF-8',
      'e-short.yml: rename it: its name must end with .yaml',
      '(a file):1:1: must be a mapping of fields',
    ])
    expect(items).toEqual(BUILT_IN)
  })
})

test('a folder that cannot be listed is no empty folder', async () => {
  await rm(folder, { recursive: true })
  await writeFile(folder, '')
  await expect(current()).rejects.toMatchObject({ code: 'unavailable' })
})

test('an unknown word is answered with the one that was meant', async () => {
  const { need } = await current()
  expect(() => need('githb')).toThrowError(
    expect.objectContaining({
      code: 'not_found',
      hint: expect.stringContaining('did you mean github?') as string,
    }),
  )
  expect(() => need('canary-7f3a-quite-else')).toThrowError(
    expect.objectContaining({ hint: 'castellan grant providers lists what there is' }),
  )
})
