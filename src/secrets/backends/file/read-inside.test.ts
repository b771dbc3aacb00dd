import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readInside } from './read-inside.ts'

/* Somebody who may write in the directory changes it at the worst moment. */

let base: string
let directory: string

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'castellan-inside-')))
  directory = join(base, 'secrets')
  mkdirSync(join(directory, 'team'), { recursive: true })
  mkdirSync(join(base, 'outside'))
  writeFileSync(join(directory, 'team/token'), 'inside')
  writeFileSync(join(base, 'outside/token'), 'planted-outside')
})
afterEach(() => rmSync(base, { recursive: true }))

/** Reads, with something that happens right before each opening, and right after. */
async function read(meanwhile: {
  before?: (nth: number) => void
  after?: (nth: number) => void
}): Promise<string> {
  let nth = 0
  const found = await readInside(
    { directory, path: 'team/token' },
    {
      never: [],
      async open(...given) {
        nth += 1
        meanwhile.before?.(nth)
        try {
          return await open(...given)
        } finally {
          meanwhile.after?.(nth)
        }
      },
    },
  )
  return found.ok ? found.value.toString() : `${found.error.kind}: ${found.error.message}`
}

function swapOut(): void {
  renameSync(join(directory, 'team'), join(directory, 'team.real'))
  symlinkSync(join(base, 'outside'), join(directory, 'team'))
}

function swapBack(): void {
  rmSync(join(directory, 'team'))
  renameSync(join(directory, 'team.real'), join(directory, 'team'))
}

test('a folder that becomes a link out, after it was looked at', async () => {
  const out = 'unusable: it is a link that leads out of the directory'
  expect(await read({ before: (nth) => void (nth === 1 && swapOut()) })).toBe(out)
})

test('a folder that is a link out for the moment of opening only', async () => {
  const once = await read({
    before: (nth) => void (nth === 1 && swapOut()),
    after: (nth) => void (nth === 1 && swapBack()),
  })
  expect(once).toBe('inside')
  expect(await read({ before: swapOut, after: swapBack })).toBe('away: the file changes while it is read')
})

test('a file that becomes a link out is not opened', async () => {
  const become = (): void => {
    rmSync(join(directory, 'team/token'))
    symlinkSync(join(base, 'outside/token'), join(directory, 'team/token'))
  }
  expect(await read({ before: (nth) => void (nth === 1 && become()) })).toContain('leads out')
})

test('a file that is written while it is read is read again', async () => {
  const file = join(directory, 'team/token')
  let writes = 0
  const found = await readInside(
    { directory, path: 'team/token' },
    {
      never: [],
      async open(...given) {
        const handle = await open(...given)
        const size = handle.stat.bind(handle)
        // Right after it was seen how large it is.
        handle.stat = (async (options: { bigint: true }) => {
          const before = await size(options)
          if (++writes === 1) appendFileSync(file, ', and more')
          return before
        }) as typeof handle.stat
        return handle
      },
    },
  )
  expect([found.ok && found.value.toString(), writes]).toEqual(['inside, and more', 2])
})
