import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const launcher = fileURLToPath(new URL('../../bin/castellan.js', import.meta.url))

/** The machine's own Node, which may be older than ours, and the one that runs the tests. */
const NODES = ['/usr/bin/node', '/usr/local/bin/node', process.execPath].filter((path) => existsSync(path))

const run = (node: string, script: string, args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(node, [script, ...args], {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', HOME: tmpdir(), CASTELLAN_HOME: '/nonexistent' },
  })
  return { status, stdout, stderr }
}

const majorOf = (node: string): number =>
  Number(spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.split('.')[0])

test.each(NODES)('under %s it runs with a Node that is new enough', (node) => {
  const ran = run(node, launcher, ['version', '-o', 'json'])
  expect(ran).toMatchObject({ status: 0, stderr: '' })
  expect(Number((JSON.parse(ran.stdout) as { node: string }).node.split('.')[0])).toBeGreaterThanOrEqual(24)
})

test.each(NODES)('under %s exit statuses pass through', (node) => {
  expect(run(node, launcher, ['get']).status).toBe(2)
  expect(run(node, launcher, ['get', 'servers']).status).toBe(1)
})

test('without a Node that is new enough, one sentence says what to do', () => {
  const root = mkdtempSync(join(tmpdir(), 'castellan-bin-'))
  cpSync(launcher, join(root, 'bin/castellan.js'))
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  for (const node of NODES.filter((path) => majorOf(path) < 24)) {
    const ran = run(node, join(root, 'bin/castellan.js'), ['version'])
    expect(ran).toMatchObject({ status: 1, stdout: '' })
    expect(ran.stderr).toMatch(/^error: castellan needs Node 24 or newer.*\n$/)
  }
})
