import { expect, test } from 'vitest'
import { readKeyChoice, type KeyOptions } from './key-options.ts'

const NONE: KeyOptions = { keyFile: undefined, keyCommand: undefined, keyKeychain: undefined }
const read = (options: Partial<KeyOptions>, env: Readonly<Record<string, string>> = {}) =>
  readKeyChoice({ ...NONE, ...options }, { env, cwd: '/work' })

test.each([
  ['nothing', {}, {}, {}],
  ['a file', { keyFile: 'a.key' }, {}, { keyFile: '/work/a.key' }],
  ['a file by its variable', {}, { CASTELLAN_KEY_FILE: '/b.key' }, { keyFile: '/b.key' }],
  [
    'an option beside its own variable',
    { keyFile: 'a' },
    { CASTELLAN_KEY_FILE: 'b' },
    { keyFile: '/work/a' },
  ],
  ['a program', { keyCommand: '/bin/give key' }, {}, { keyCommand: { argv: ['/bin/give key'], env: {} } }],
  [
    'a program with arguments, which gets no variable of ours',
    {},
    { CASTELLAN_KEY_COMMAND: '["give", "$HOME", ""]', HOME: '/h' },
    { keyCommand: { argv: ['give', '$HOME', ''], env: { HOME: '/h' } } },
  ],
  ['the keychain', { keyKeychain: true }, {}, { keychain: { env: {} } }],
  ['the keychain by its variable', {}, { CASTELLAN_KEY_KEYCHAIN: '1' }, { keychain: { env: {} } }],
  ['no keychain', {}, { CASTELLAN_KEY_KEYCHAIN: '0' }, {}],
] as const)('%s is one place for the key', (_, options, env, expected) => {
  expect(read(options, env)).toEqual({
    keyFile: undefined,
    masterKey: undefined,
    keyCommand: undefined,
    keychain: undefined,
    ...expected,
  })
})

test.each([
  [{ keyFile: 'k', keyCommand: 'c' }, {}, 'a key file and by a key command'],
  [{ keyKeychain: true }, { CASTELLAN_MASTER_KEY: 'planted' }, 'CASTELLAN_MASTER_KEY and by the keychain'],
  [{ keyCommand: '[]' }, {}, 'neither a path nor a JSON array'],
  [{ keyCommand: '["a", 1]' }, {}, 'neither a path nor a JSON array'],
  [{ keyCommand: '["a' }, {}, 'neither a path nor a JSON array'],
  [{}, { CASTELLAN_KEY_KEYCHAIN: 'yes' }, 'has a value that cannot be'],
] as const)('%j with %j is refused', (options, env, why) => {
  expect(() => read(options, env)).toThrow(why)
})
