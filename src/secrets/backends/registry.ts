import type { SecretBackend } from './backend.ts'
import { createEncryptedBackend, type EncryptedOptions } from './encrypted/encrypted-backend.ts'
import { createEnvBackend, type EnvOptions } from './env/env-backend.ts'
import { createFileBackend, type FileOptions } from './file/file-backend.ts'

/** What each backend has to be told; by its name. */
export interface BackendOptions {
  readonly encrypted: EncryptedOptions
  readonly env: EnvOptions
  readonly file: FileOptions
}

/** Every backend there is. Adding one: its folder, its options above, and a line here. */
const BACKENDS: {
  readonly [Name in keyof BackendOptions]: (options: BackendOptions[Name]) => SecretBackend
} = {
  encrypted: createEncryptedBackend,
  env: createEnvBackend,
  file: createFileBackend,
}

export interface SecretBackends {
  readonly names: readonly string[]
  readonly find: (name: string) => SecretBackend | undefined
  readonly close: () => void
}

/** Opens all of them; none is asked for anything yet. */
export function openBackends(options: BackendOptions): SecretBackends {
  const all = [BACKENDS.encrypted(options.encrypted), BACKENDS.env(options.env), BACKENDS.file(options.file)]
  const byName = new Map(all.map((backend) => [backend.name, backend]))
  return {
    names: [...byName.keys()],
    find: (name) => byName.get(name),
    close() {
      for (const backend of all) backend.close()
    },
  }
}
