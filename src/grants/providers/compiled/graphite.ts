import { alphanumeric, defineProvider, header, inject, secretField } from '../define-provider.ts'

export const graphite = defineProvider({
  id: 'graphite',
  aliases: ['gt'],
  title: 'Graphite',
  description: 'Stacked pull requests.',
  fields: [secretField('token', 'Graphite token')],
  origins: ['https://api.graphite.com'],
  injections: [inject('token', ['api.graphite.com'], header('Authorization', 'token '))],
  sees: [{ as: 'file', path: '.config/graphite/user_config', stub: alphanumeric('', 60) }],
  sources: [
    { kind: 'env', names: ['GRAPHITE_TOKEN', 'GT_TOKEN'], field: 'token' },
    { kind: 'prompt', field: 'token' },
  ],
})
