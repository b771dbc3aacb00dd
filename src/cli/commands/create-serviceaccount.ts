import { createObject } from '../create-object.ts'
import { defineCommand, text } from '../define-command.ts'

export const createServiceAccount = defineCommand({
  arguments: ['<name>'],
  options: { description: text('--description <text>', 'for people') },
  about:
    'A program that has rights of its own and never signs in. It calls with tokens that are made for it, which can do no more than it can.',
  examples: [
    'castellan create serviceaccount nightly --description "nightly build"',
    'castellan create token nightly -p demo --for ServiceAccount:nightly --ttl 30d',
  ],
  run(given) {
    const {
      args: [name = ''],
      options,
    } = given
    return createObject(given, { kind: 'ServiceAccount', plural: 'serviceaccounts', name, spec: options })
  },
})
