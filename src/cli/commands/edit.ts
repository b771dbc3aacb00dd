import { callApi, readObject } from '../api.ts'
import { printLines, type CliContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { createDraft, type Draft } from '../edit/draft.ts'
import { openEditor } from '../edit/open-editor.ts'
import { CliFailure, usage } from '../failure.ts'
import { project } from '../options.ts'
import { parseReference } from '../reference.ts'
import type { Target } from '../target.ts'

export const edit = defineCommand({
  arguments: ['<kind>', '[name]'],
  complete: ['kind', 'name'],
  options: { project },
  about:
    'Opens VISUAL, else EDITOR, else vi. What is not valid comes back with what is wrong on top. If somebody else has changed it meanwhile, nothing is changed, and your text is kept in a file.',
  examples: ['castellan edit server everything', 'EDITOR="code --wait" castellan edit project demo'],
  async run({ args, options: { project }, target, context }) {
    const [kind, name] = parseReference(args)
    if (name === undefined) throw usage('a name is missing', 'castellan get with that kind lists the names')
    const path = [kind, name]
    const { yaml, etag } = await readObject(target(), path, { project })
    const draft = await createDraft(`${kind}-${name}`)
    const object = { path, project, yaml, etag }
    const done = await editUntilTaken(target(), object, { draft, context }).catch(async (error: unknown) => {
      throw await kept(draft, object, error)
    })
    await draft.remove()
    printLines(context.stdout, [`${kind}/${name} ${done}`])
    return 0
  },
})

interface Edited {
  readonly path: readonly string[]
  readonly project: string | undefined
  /** As it was read. */
  readonly yaml: string
  readonly etag: string | undefined
}

interface Desk {
  readonly draft: Draft
  readonly context: CliContext
}

/** Once more for each time that it is refused as not valid, unless it comes back as it was refused. */
async function editUntilTaken(
  target: Target,
  { path, project, yaml, etag }: Edited,
  { draft, context }: Desk,
): Promise<string> {
  let text = yaml
  let refusal: CliFailure | undefined
  for (;;) {
    await draft.write(text, refusal === undefined ? [] : linesOf(refusal))
    await openEditor(draft.path, context)
    const next = await draft.read()
    if (next.trim() === '' || next === yaml) return 'unchanged'
    if (refusal !== undefined && next === text) throw refusal
    text = next
    try {
      const body = { type: 'application/yaml', text }
      await callApi(target, path, { method: 'PUT', query: { project }, body, ifMatch: etag })
      return 'edited'
    } catch (error) {
      if (!(error instanceof CliFailure) || error.body.code !== 'invalid') throw error
      refusal = error
    }
  }
}

const linesOf = ({ body: { message, problems = [], hint } }: CliFailure): readonly string[] => [
  ...(problems.length === 0 ? [message] : problems.map((problem) => `- ${problem}`)),
  ...(hint === undefined ? [] : [`hint: ${hint}`]),
]

/** Nothing that was typed is lost: where it cannot be taken, the file stays, and the message says where it is. */
async function kept(draft: Draft, { path, yaml }: Edited, error: unknown): Promise<unknown> {
  const text = await draft.read().catch(() => undefined)
  if (text === undefined || text === yaml || text.trim() === '') {
    await draft.remove()
    return error
  }
  if (!(error instanceof CliFailure)) return error
  const { code, message, problems, hint } = error.body
  const again = code === 'changed_meanwhile' ? `castellan edit ${path.join(' ')} shows it as it is now` : hint
  const where = `your text is kept in ${draft.path}`
  return new CliFailure(
    { code, message, problems: problems ?? [], hint: again === undefined ? where : `${where}; ${again}` },
    error,
  )
}
