import { keyCheck } from '../../ssh-agent/key-check.ts'
import { defineProvider, shownField } from '../define-provider.ts'

export const ssh = defineProvider({
  id: 'ssh',
  title: 'SSH key',
  description:
    'One key of the SSH agent of this machine, through an agent that signs logins with it and does nothing else.',
  qualifier: { name: 'host', example: 'github.com' },
  fields: [
    shownField('key', 'Fingerprint of the key, as ssh-add -l shows it', {
      pattern: /^SHA256:[A-Za-z0-9+/]{43}$/,
      hint: 'must be a fingerprint: SHA256: and 43 characters, as ssh-add -l shows it',
    }),
  ],
  sees: [{ as: 'socket', variable: 'SSH_AUTH_SOCK' }],
  sources: [{ kind: 'reader', name: 'ssh-agent', fields: ['key'] }],
  check: keyCheck,
  runsOnly: true,
})
