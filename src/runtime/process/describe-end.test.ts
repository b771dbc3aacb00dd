import { expect, test } from 'vitest'
import type { InstanceSpec } from '../runtime.ts'
import { describeEnd, type Ending } from './describe-end.ts'

const spec: InstanceSpec = {
  server: 'notes',
  key: 'notes',
  command: 'secret-command',
  args: ['secret-argument'],
  env: { KEY: 'secret-value' },
  mounts: [],
  memoryMiB: 64,
  messageMiB: 2,
}
const exited: Ending = {
  cause: undefined,
  verdict: { how: 'code', code: 1 },
  lastWords: '',
  hidesArgument: false,
}

// oxfmt-ignore
test.each<[string, Partial<Ending>, string, string]>([
  ['exit',            {},                                                      'exit',    'by itself with status 1; see castellan logs server notes'],
  ['not found',       { verdict: { how: 'code', code: 127 } },                 'exit',    'was not found'],
  ['cannot be run',   { verdict: { how: 'code', code: 126 } },                 'exit',    'cannot be run'],
  ['hidden argument', { hidesArgument: true },                                 'exit',    'list it in spec.mounts'],
  ['signal',          { verdict: { how: 'signal', signal: 'SIGSEGV' } },       'signal',  'SIGSEGV'],
  ['no sandbox',      { verdict: { how: 'never-ran' } },                       'spawn',   'sandbox could not be set up'],
  ['own allocator',   { lastWords: 'RangeError: Array buffer allocation failed' }, 'memory', 'memoryMiB (64)'],
  ['watched memory',  { cause: 'memory' },                                     'memory',  'memoryMiB (64)'],
  ['long message',    { cause: 'output' },                                     'output',  'messageMiB (2)'],
  ['input not read',  { cause: 'input' },                                      'output',  'does not read'],
  ['asked for',       { cause: 'stopped', hidesArgument: true },               'stopped', 'was stopped'],
])('%s', (_what, ending, why, sentence) => {
  const end = describeEnd(spec, { ...exited, ...ending })
  expect(end.why).toBe(why)
  expect(end.message).toContain(sentence)
  expect(end.message).not.toContain('secret')
})
