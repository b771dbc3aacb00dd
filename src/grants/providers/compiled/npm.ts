import { alphanumeric, bearer, defineProvider, inject, secretField, validate } from '../define-provider.ts'

export const npm = defineProvider({
  id: 'npm',
  title: 'npm registry',
  description: 'One grant for each registry; the scopes that lead there are read from the `.npmrc`.',
  qualifier: { name: 'host', example: 'registry.example.com', default: 'registry.npmjs.org' },
  fields: [secretField('token', 'Token of the registry')],
  origins: ['https://{host}'],
  injections: [inject('token', ['{host}'], bearer)],
  sees: [{ as: 'file', path: '.npmrc', stub: alphanumeric('npm_', 40) }],
  sources: [
    { kind: 'reader', name: 'npmrc', fields: ['token'] },
    { kind: 'env', names: ['NPM_TOKEN'], field: 'token' },
    { kind: 'prompt', field: 'token' },
  ],
  validations: [validate({ field: 'token', url: 'https://{host}/-/whoami', place: bearer })],
})
