import type { Entry, Gap, Intent, Outcome, Refusals, Tips } from './entry.ts'

/**
 * One entry as one line of JSON. Built by hand, since two of these are made for every call: `JSON.stringify` of the
 * object costs about three times as much. What `JSON.parse` makes of a line is the entry again.
 */

/** Longest free text that an entry keeps, in UTF-16 units. */
const MAX_TEXT = 512

/** Whatever JSON has to escape; lone surrogates are among it, so that a body is always valid UTF-8. */
const NEEDS_ESCAPE = /[^ !#-[\]-\ud7ff\ue000-\uffff]/

function quote(text: string): string {
  const short = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text
  return NEEDS_ESCAPE.test(short) ? JSON.stringify(short) : `"${short}"`
}

/** A number that JSON can hold: a clock or a timer that failed must not make a line unreadable. */
const num = (value: number): number => (Number.isFinite(value) ? value : 0)

type Who = Pick<Intent, 'principal' | 'principalName' | 'user' | 'token' | 'tokenSha' | 'actor'>

/** Callers whose text is kept: those who call at the same time. */
const MAX_CALLERS = 500

/**
 * An encoder that keeps what is the same in all entries of a caller, which is half of each line: looking it up costs a
 * fifth of making it.
 */
export function createIntentEncoder(): (entry: Intent) => string {
  const known = new Map<string, { readonly who: Who; readonly text: string }>()

  function textOf(who: Who): string {
    const before = known.get(who.principal)
    if (before !== undefined && isSame(before.who, who)) return before.text
    if (known.size >= MAX_CALLERS) known.clear()
    const text = encodeWho(who)
    known.set(who.principal, { who, text })
    return text
  }

  return (entry) => {
    let line = `{"type":"intent","id":${quote(entry.id)},"atMs":${num(entry.atMs)},"event":${quote(entry.event)},${textOf(entry)}`
    if (entry.project !== undefined) line += `,"project":${quote(entry.project)}`
    if (entry.server !== undefined) line += `,"server":${quote(entry.server)}`
    if (entry.target !== undefined) line += `,"target":${quote(entry.target)}`
    if (entry.grant !== undefined) line += `,"grant":${quote(entry.grant)}`
    if (entry.injected !== undefined) line += `,"injected":${quote(entry.injected)}`
    if (entry.session !== undefined) line += `,"session":${quote(entry.session)}`
    line += `,"decision":"${entry.decision}"`
    if (entry.reason !== undefined) line += `,"reason":${quote(entry.reason)}`
    return `${line}}`
  }
}

const isSame = (a: Who, b: Who): boolean =>
  a.principalName === b.principalName &&
  a.user === b.user &&
  a.token === b.token &&
  a.tokenSha === b.tokenSha &&
  a.actor === b.actor

function encodeWho(who: Who): string {
  let text = `"principal":${quote(who.principal)},"principalName":${quote(who.principalName)}`
  if (who.user !== undefined) text += `,"user":${quote(who.user)}`
  if (who.token !== undefined) text += `,"token":${quote(who.token)}`
  if (who.tokenSha !== undefined) text += `,"tokenSha":${quote(who.tokenSha)}`
  if (who.actor !== undefined) text += `,"actor":${quote(who.actor)}`
  return text
}

export function encodeOutcome(entry: Outcome): string {
  // Hundredths of a millisecond: nobody reads more, and short numbers are cheaper to print.
  const durationMs = Math.round(num(entry.durationMs) * 100) / 100
  let line = `{"type":"outcome","of":${quote(entry.of)},"atMs":${num(entry.atMs)},"status":"${entry.status}","durationMs":${durationMs}`
  if (entry.code !== undefined) line += `,"code":${quote(entry.code)}`
  if (entry.session !== undefined) line += `,"session":${quote(entry.session)}`
  return `${line}}`
}

/** The rare ones. */
export const encodeOther = (entry: Gap | Refusals | Tips): string => JSON.stringify(entry)

/** The entries of a body, in order. Throws `SyntaxError` for a body that is not one of ours: verify the MAC first. */
export const decodeBody = (body: string): Entry[] => body.split('\n').map((line) => JSON.parse(line) as Entry)
