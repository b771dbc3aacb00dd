import { hash } from 'node:crypto'
import { TASKS_KEY } from './envelope.ts'

/**
 * What a client has declared that it can be asked for (`capabilities` of `initialize`, `clientCapabilities` of a modern
 * request), as far as it is carried to servers. Equal declarations are one object, so offers are compared by identity.
 */
export interface Offer {
  /** Equal for equal offers, short, and without anything of what the client wrote: part of a connection's key. */
  readonly key: string
  readonly roots: boolean
  readonly sampling: boolean
  readonly elicitForm: boolean
  readonly elicitUrl: boolean
  /** It takes tasks in place of results; only a modern client that says so itself, with the request, is given one. */
  readonly tasks: boolean
  /** JSON text of the capabilities for a modern server, which hears them with every request. */
  readonly modern: string
  /** JSON text of the capabilities for `initialize` with a legacy server. */
  readonly legacy: string
}

type Declared = Readonly<Record<string, unknown>>

const MAX_KNOWN = 500
const known = new Map<string, Offer>()

/**
 * @param capabilities JSON text as the client wrote it, already known to be valid JSON
 */
export function readOffer(capabilities: string): Offer {
  const found = known.get(capabilities)
  if (found !== undefined) return found
  const offer = makeOffer(asObject(JSON.parse(capabilities)))
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(capabilities, offer)
  return offer
}

function makeOffer(declared: Declared): Offer {
  const elicitation = declared['elicitation']
  const elicits = isObject(elicitation)
  const hasUrl = elicits && isObject(elicitation['url'])
  // `{}` means forms, the only mode there was before 2025-11-25.
  const hasForm = elicits && (isObject(elicitation['form']) || !hasUrl)
  const extensions = asObject(declared['extensions'])
  const carried = {
    ...pick(declared, 'sampling'),
    ...pick(declared, 'elicitation'),
    ...pick(declared, 'experimental'),
    ...withoutTasks(extensions),
  }
  const roots = isObject(declared['roots'])
  return {
    key: digestOf(JSON.stringify({ ...carried, roots })),
    roots,
    sampling: isObject(declared['sampling']),
    elicitForm: hasForm,
    elicitUrl: hasUrl,
    tasks: isObject(extensions[TASKS_KEY]),
    modern: JSON.stringify(roots ? { roots: {}, ...carried } : carried),
    legacy: JSON.stringify(roots ? { roots: { listChanged: true }, ...carried } : carried),
  }
}

function withoutTasks(extensions: Declared): Declared {
  const { [TASKS_KEY]: _tasks, ...others } = extensions
  return Object.keys(others).length === 0 ? {} : { extensions: others }
}

const digestOf = (text: string): string => hash('sha256', text, 'base64url').slice(0, 12)

const isObject = (value: unknown): value is Declared =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const asObject = (value: unknown): Declared => (isObject(value) ? value : {})

const pick = (from: Declared, key: string): Declared => (isObject(from[key]) ? { [key]: from[key] } : {})

/** Nobody to ask: questions of ours to a server. */
export const NO_OFFER: Offer = readOffer('{}')

/**
 * On a connection that callers share, a server is told that it may ask: who cannot be asked is declined for. Not roots:
 * a server takes them for its own state, and one caller's would hold for all.
 */
export const SHARED_OFFER: Offer = readOffer(
  '{"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}}}',
)
