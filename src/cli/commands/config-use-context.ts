import { printLines } from '../context.ts'
import { changeConfig } from '../contexts/change-config.ts'
import { configPath, contextNamed, HOME_CONTEXT } from '../contexts/config-file.ts'
import { stronger } from '../contexts/stronger.ts'
import { defineCommand } from '../define-command.ts'

export const configUseContext = defineCommand({
  arguments: ['<name>'],
  complete: ['context'],
  options: {},
  globals: [],
  about: 'From then on it is asked when nothing else is said. home goes back to the daemon of the home.',
  examples: ['castellan config use-context work', 'castellan config use-context home'],
  async run({ args: [name = ''], context }) {
    changeConfig(configPath(context), (draft) => {
      if (name !== HOME_CONTEXT) contextNamed(draft, name)
      draft.current = name === HOME_CONTEXT ? undefined : name
    })
    printLines(context.stdout, [`context ${name} is in use`])
    printLines(context.stderr, stronger(context, name))
    return 0
  },
})
