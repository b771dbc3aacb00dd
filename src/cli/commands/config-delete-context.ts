import { printLines } from '../context.ts'
import { changeConfig } from '../contexts/change-config.ts'
import { configPath, contextNamed, HOME_CONTEXT } from '../contexts/config-file.ts'
import { dropCredential } from '../contexts/keep-credential.ts'
import { defineCommand, flag } from '../define-command.ts'
import { CliFailure, usage } from '../failure.ts'

export const configDeleteContext = defineCommand({
  arguments: ['<name>'],
  complete: ['context'],
  options: { force: flag('--force', 'also while it is signed in: only forgets the credential') },
  globals: [],
  examples: ['castellan config delete-context work', 'castellan config delete-context work --force'],
  async run({ args: [name = ''], options: { force }, context }) {
    if (name === HOME_CONTEXT)
      throw usage('the context home is always there', 'castellan config use-context NAME leaves it')
    const record = changeConfig(configPath(context), (draft) => {
      const found = contextNamed(draft, name)
      if (found.credential !== 'none' && !force)
        throw new CliFailure({
          code: 'conflict',
          message: 'this context is signed in',
          hint: `sign out first: castellan logout --context ${name}; or add --force`,
        })
      draft.contexts.delete(name)
      if (draft.current === name) draft.current = undefined
      return found
    })
    const left = dropCredential(name, record, context)
    printLines(context.stdout, [`context ${name} deleted`])
    if (left !== undefined) printLines(context.stderr, [`its credential was not found: ${left}`])
    return 0
  },
})
