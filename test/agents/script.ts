/**
 * The prompt is the program of the model stub, one step a line:
 *
 *   CALL <tool> <JSON object>   the next turn asks for this tool with these arguments
 *   HOOK <name>                 something happens before the next turn, while the agent's session stays open
 */
export type Step =
  | { readonly kind: 'call'; readonly tool: string; readonly args: object }
  | { readonly kind: 'hook'; readonly name: string }

/** A conversation as one provider's request tells it, oldest first. */
export type Turn =
  | { readonly kind: 'prompt'; readonly text: string }
  | { readonly kind: 'result'; readonly text: string; readonly failed: boolean }

/** What the "model" does next: asks for a tool, or says its last word. */
export type Decision =
  | { readonly kind: 'call'; readonly tool: string; readonly args: object }
  | { readonly kind: 'say'; readonly text: string }

/** The steps of a prompt; a line that begins like a step and is none throws. */
export function parseScript(text: string): Step[] {
  const steps: Step[] = []
  for (const line of text.split('\n')) {
    const call = /^\s*CALL (\S+) (\{.*\})\s*$/.exec(line)
    const hook = /^\s*HOOK ([\w-]+)\s*$/.exec(line)
    if (call !== null)
      steps.push({ kind: 'call', tool: call[1] ?? '', args: JSON.parse(call[2] ?? '') as object })
    else if (hook !== null) steps.push({ kind: 'hook', name: hook[1] ?? '' })
  }
  return steps
}

const fold = (name: string): string => name.replace(/[^A-Za-z0-9]/g, '_').toLowerCase()

/** CLIs put a prefix before tool names and change characters: the offered name that equals or ends in the wanted one. */
export function findTool(wanted: string, offered: readonly string[]): string | undefined {
  const name = fold(wanted)
  return (
    offered.find((one) => one === wanted) ??
    offered.find((one) => fold(one) === name || fold(one).endsWith(`_${name}`))
  )
}

/**
 * Decides from the request alone: a CLI sends the whole conversation every time.
 * @param runHook called for each hook that lies before the next call; runs it once for its place in the prompt
 */
export async function decide(
  turns: readonly Turn[],
  offered: readonly string[],
  runHook: (name: string, place: string) => Promise<void>,
): Promise<Decision> {
  const at = turns.findLastIndex((turn) => turn.kind === 'prompt' && parseScript(turn.text).length > 0)
  const prompt = turns[at]
  if (prompt?.kind !== 'prompt') return { kind: 'say', text: 'FINAL: the prompt has no step' }
  const results = turns.slice(at + 1).filter((turn) => turn.kind === 'result')
  const lines = results.map(({ text, failed }, i) => `[${i + 1}] ${failed ? '(error) ' : ''}${text}`)
  let done = 0
  for (const [index, step] of parseScript(prompt.text).entries()) {
    if (step.kind === 'hook') {
      if (done === results.length) await runHook(step.name, `${index} ${prompt.text}`)
      continue
    }
    done += 1
    if (done <= results.length) continue
    const tool = findTool(step.tool, offered)
    if (tool !== undefined) return { kind: 'call', tool, args: step.args }
    lines.push(`the tool ${step.tool} is not offered; offered: ${offered.join(', ')}`)
    break
  }
  return { kind: 'say', text: `FINAL:\n${lines.join('\n')}` }
}
