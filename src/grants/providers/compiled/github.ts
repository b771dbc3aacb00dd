import {
  alphanumeric,
  bearer,
  defineProvider,
  inject,
  secretField,
  validate,
  variable,
} from '../define-provider.ts'

/** 40 hex digits are a token of before 2021; what GitHub Actions and apps get is longer, with dots in it. */
const shape = {
  pattern: /^(?:gh[a-z]_[\w.-]{20,2000}|github_pat_\w{20,500}|[0-9a-f]{40})$/,
  hint: 'is no GitHub token: those begin with ghp_, gho_, ghs_ or github_pat_',
}

export const github = defineProvider({
  id: 'github',
  aliases: ['gh'],
  title: 'GitHub',
  description: 'API and Git over HTTPS; a run of Copilot uses the same grant.',
  fields: [secretField('token', 'GitHub token', shape)],
  origins: ['https://api.github.com', 'https://github.com'],
  injections: [
    inject('token', ['api.github.com'], bearer),
    inject('token', ['github.com'], {
      in: 'header',
      header: 'Authorization',
      prefix: '',
      basicUser: 'x-access-token',
    }),
  ],
  sees: [variable('GH_TOKEN', alphanumeric('ghp_', 40)), variable('GITHUB_TOKEN', alphanumeric('ghp_', 40))],
  sources: [
    { kind: 'env', names: ['GITHUB_TOKEN', 'GH_TOKEN'], field: 'token' },
    { kind: 'command', argv: ['gh', 'auth', 'token'], field: 'token' },
    { kind: 'prompt', field: 'token' },
  ],
  // A token of an app may be refused for /user and still be good: 403 tells nothing.
  validations: [validate({ field: 'token', url: 'https://api.github.com/user', place: bearer })],
})
