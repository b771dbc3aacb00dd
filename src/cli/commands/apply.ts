import { applyManifests } from '../apply-manifests.ts'
import { choice, defineCommand, flag, list, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { readManifests } from '../manifests.ts'

export const apply = defineCommand({
  options: {
    file: list(
      '-f, --filename <file>',
      'a manifest: a file, a directory, or - for standard input; repeatable',
    ),
    dryRun: flag('--dry-run', 'check everything and say what would change; change nothing'),
    tokenFile: text(
      '--token-file <file>',
      'write the secrets of new tokens into this new file (0600), not to the terminal',
    ),
    output: choice('-o, --output <format>', 'how to print the result', ['text', 'json']),
  },
  about:
    'All or nothing: with one invalid document, nothing is applied. What stands as described already is left untouched.',
  examples: [
    'castellan apply -f servers.yaml',
    'castellan apply -f manifests/ --dry-run',
    'castellan get servers -o yaml | castellan apply -f -',
  ],
  async run({ options: { file, dryRun, tokenFile, output }, target, context }) {
    if (file.length === 0) throw usage('no manifest is given', 'castellan apply -f FILE')
    const manifests = await readManifests(file, context)
    await applyManifests(target(), { manifests, dryRun, tokenFile, asJson: output === 'json' }, context)
    return 0
  },
})
