import { writeSync } from 'node:fs'
import { openControl } from './control-harness.ts'

/*
 * Run as a child: applies manifests of three resources each until it is killed, and says on standard output which
 * ones were acknowledged.
 */
const control = await openControl(process.argv[2] ?? '')
for (let i = 0; ; i++) {
  const items = ['a', 'b', 'c'].map((letter) => ({
    apiVersion: 'castellan/v1',
    kind: 'Secret',
    metadata: { name: `s${i}-${letter}` },
    spec: { data: { token: `value-${i}-${letter}` } },
  }))
  const answer = await control.call('POST', '/api/v1/apply', { kind: 'List', items })
  if (answer.status !== 200) throw new Error(answer.text)
  writeSync(1, `${i}\n`)
}
