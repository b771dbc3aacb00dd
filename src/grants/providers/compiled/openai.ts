import {
  alphanumeric,
  bearer,
  defineProvider,
  inject,
  secretField,
  validate,
  variable,
} from '../define-provider.ts'

export const openai = defineProvider({
  id: 'openai',
  title: 'OpenAI API key',
  description: 'The API, and Codex with a key.',
  fields: [
    secretField('token', 'OpenAI API key', {
      pattern: /^sk-(?!ant-)/,
      hint: 'is no OpenAI key: those begin with sk-',
    }),
  ],
  origins: ['https://api.openai.com', 'https://chatgpt.com', 'https://*.openai.com'],
  injections: [inject('token', ['api.openai.com', 'chatgpt.com', '*.openai.com'], bearer)],
  sees: [variable('OPENAI_API_KEY', alphanumeric('sk-proj-', 164))],
  sources: [
    { kind: 'env', names: ['OPENAI_API_KEY'], field: 'token' },
    { kind: 'prompt', field: 'token' },
  ],
  // A key with few rights may be refused this list and still be good: 403 tells nothing.
  validations: [validate({ field: 'token', url: 'https://api.openai.com/v1/models', place: bearer })],
})
