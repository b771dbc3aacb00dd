import { text as readText } from 'node:stream/consumers'
import { SecretValue } from '../../lib/secret-value.ts'
import { askHidden, askText, isTerminal } from '../ask.ts'
import { printLines, type CliContext } from '../context.ts'
import { unavailable, usage } from '../failure.ts'
import type { Target } from '../target.ts'
import { checkGiven } from './check-given.ts'
import { consent } from './consent.ts'
import { createForm, type Acquired, type Form } from './form.ts'
import type { Provider, ProviderField, ProviderSource } from './provider.ts'
import { fieldsOf, lookAt, originOf, type Origin } from './sources.ts'

/** What the user said of where the values are. */
export interface AcquireChoice {
  /** Only this way; undefined: each that the provider has, in its order. */
  readonly from: Origin | 'stdin' | undefined
  readonly qualifier: string | undefined
  /** Values that are no secret, by field, from options. */
  readonly given: ReadonlyMap<string, string>
  /** Optional fields that are asked for all the same. */
  readonly ask: readonly string[]
  /** What is found goes to a daemon on another machine without a question. */
  readonly yes: boolean
}

interface Place {
  readonly context: CliContext
  readonly target: Target
}

/**
 * The values of a grant: from where its provider says that they are on a machine, else from the user. Says where it
 * looked and what it found, never a value. Nothing leaves this process yet.
 *
 * @throws CliFailure when there are none, or what is there cannot be used
 */
export async function acquire(provider: Provider, choice: AcquireChoice, at: Place): Promise<Acquired> {
  const { from, given } = choice
  checkGiven(provider, choice)
  const form = createForm(provider, given)
  if (from === 'stdin') await fillFromStdin(form, at.context)
  else await fillFromSources(provider, form, { choice, at })
  await fillAsked(form, choice.ask, at.context)
  if (form.needed().length > 0) throw unavailable(`nothing of ${provider.title} was found`, waysOf(provider))
  return form.filled()
}

async function fillFromSources(
  { sources }: Provider,
  form: Form,
  { choice, at }: { readonly choice: AcquireChoice; readonly at: Place },
): Promise<void> {
  for (const source of sources) {
    const isMeant = choice.from === undefined || originOf(source) === choice.from
    const open = form.open().filter(({ name }) => fieldsOf(source).includes(name))
    if (!isMeant || open.length === 0) continue
    if (source.kind !== 'prompt') await fillFrom(source, form, { choice, at })
    else await fillFromUser(form, open, { context: at.context, all: choice.from === 'prompt' })
  }
}

async function fillFrom(
  source: Exclude<ProviderSource, { readonly kind: 'prompt' }>,
  form: Form,
  { choice, at }: { readonly choice: AcquireChoice; readonly at: Place },
): Promise<void> {
  const { qualifier, given } = choice
  const answer = await lookAt(source, { context: at.context, qualifier, given })
  if (!answer.found) return printLines(at.context.stderr, [answer.says])
  const what = [...answer.values.keys()].join(' and ')
  printLines(at.context.stderr, [
    `${what} from ${answer.says}`,
    ...(answer.note === undefined ? [] : [`note: ${answer.note}`]),
  ])
  await consent(answer.says, choice.yes, at)
  form.enter(answer.values, originOf(source), answer)
}

/** Asks for what is needed; once it asks at all, also for what may be left out. */
async function fillFromUser(
  form: Form,
  fields: readonly ProviderField[],
  { context, all }: { readonly context: CliContext; readonly all: boolean },
): Promise<void> {
  for (const field of fields) {
    const isNeeded = form.needed().includes(field)
    if (!isNeeded && !all && !form.asked()) continue
    if (!isTerminal(context)) return fillFromStdin(form, context)
    const typed = await ask(field, isNeeded, context)
    if (typed === '' && isNeeded) throw empty(field)
    if (typed !== '') form.enter(new Map([[field.name, new SecretValue(typed)]]), 'prompt')
  }
}

async function fillAsked(form: Form, names: readonly string[], context: CliContext): Promise<void> {
  const fields = form.open().filter(({ name }) => names.includes(name))
  if (fields.length > 0 && !isTerminal(context))
    throw usage('there is no terminal to ask on', 'leave --ask out, or run it in a terminal')
  await fillFromUser(form, fields, { context, all: true })
}

async function ask(
  { prompt, secret }: ProviderField,
  isNeeded: boolean,
  context: CliContext,
): Promise<string> {
  const message = isNeeded ? prompt : `${prompt} (Enter for none)`
  return (await (secret ? askHidden : askText)(message, context)).trim()
}

/** One line for each value that is needed, in order. */
async function fillFromStdin(form: Form, context: CliContext): Promise<void> {
  if (isTerminal(context)) throw usage('standard input is a terminal', 'pipe the value into the command')
  const needed = form.needed()
  if (needed.length === 0) return
  const text = (await readText(context.stdin)).replace(/\r?\n$/, '')
  const lines = text.split(/\r?\n/)
  if (lines.length > needed.length)
    throw usage(
      'standard input has more lines than there are values',
      `pipe ${needed.map(({ name }) => name).join(', then ')} into the command, on a line of its own`,
    )
  needed.forEach((field, index) => {
    const value = lines[index] ?? ''
    if (value === '') throw empty(field)
    form.enter(new Map([[field.name, new SecretValue(value)]]), 'stdin')
  })
}

const empty = ({ name }: ProviderField): Error =>
  usage(`${name} is empty`, 'type it when asked, or pipe it into the command with --from stdin')

function waysOf({ sources }: Provider): string {
  const ways = [...new Set(sources.map(originOf)), 'stdin'] as const
  return `ways to give it: ${ways.map((way) => `--from ${way}`).join(', ')}`
}
