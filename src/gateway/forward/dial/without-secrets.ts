import { err, ok } from '../../../lib/result.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import type { Asked } from '../questions.ts'
import {
  decline,
  type Question,
  type Sink,
  type Upstream,
  type UpstreamEvents,
  type UpstreamFailure,
  type UpstreamInfo,
  type WatchRefusal,
} from '../upstream.ts'

/** Takes the secrets that a server was given out of JSON that it sent; the same Buffer when there are none in it. */
export type Redact = (json: Buffer) => Buffer

const UNREADABLE: UpstreamFailure = {
  kind: 'invalid',
  message: 'its answer held a secret that it was given, in a place where it could not be taken out',
}

/**
 * A server that repeats its credential (in an error, in what it says of itself, in a result) must not hand it to the
 * client: what comes from it passes here, before anything else sees it.
 */
export function withoutSecrets(upstream: Upstream, redact: Redact): Upstream {
  return {
    async open() {
      const opened = await upstream.open()
      return opened.ok ? ok(cleanInfo(opened.value, redact)) : err(opened.error)
    },
    tell: (notification) => upstream.tell(notification),
    send: (request, sink) => upstream.send(request, cleanSink(sink, redact)),
    get alive() {
      return upstream.alive
    },
    get asks() {
      return upstream.asks
    },
    get idle() {
      return upstream.idle
    },
    get pid() {
      return upstream.pid
    },
    watch: (uri) => upstream.watch(uri).then((refusal) => cleanRefusal(refusal, redact)),
    unwatch: (uri) => upstream.unwatch(uri),
    get watched() {
      return upstream.watched
    },
    reports: () => upstream.reports(),
    close: () => upstream.close(),
  }
}

/** The same for what no request has asked for. */
export const eventsWithoutSecrets = (events: UpstreamEvents, redact: Redact): UpstreamEvents => ({
  ...events,
  ...cleanQuestions(events, redact),
  notified(message) {
    const clean = cleanMessage(message, redact)
    if (clean !== undefined) events.notified(clean)
  },
})

function cleanQuestions(to: Asked, redact: Redact): Asked {
  const clean = new WeakMap<Question, Question>()
  return {
    asked(question) {
      const request = cleanMessage(question.request, redact)
      if (request === undefined) return decline(question)
      if (request === question.request) return to.asked(question)
      const copy = { ...question, request }
      clean.set(question, copy)
      to.asked(copy)
    },
    withdrawn: (question) => to.withdrawn(clean.get(question) ?? question),
  }
}

function cleanSink(sink: Sink, redact: Redact): Sink {
  return {
    mayBeAsked: sink.mayBeAsked,
    ...cleanQuestions(sink, redact),
    event(message) {
      const clean = cleanMessage(message, redact)
      if (clean !== undefined) sink.event(clean)
    },
    reply(message) {
      const clean = cleanMessage(message, redact)
      if (clean === undefined) sink.failed(UNREADABLE)
      else sink.reply(clean)
    },
    failed: (failure) => sink.failed(failure),
  }
}

function cleanRefusal(refusal: WatchRefusal | undefined, redact: Redact): WatchRefusal | undefined {
  if (refusal?.reply === undefined) return refusal
  const reply = cleanMessage(refusal.reply, redact)
  return reply === undefined ? { failure: UNREADABLE } : { reply }
}

function cleanMessage(message: Message, redact: Redact): Message | undefined {
  const bytes = redact(message.bytes)
  if (bytes === message.bytes) return message
  const read = readMessage(bytes, 'upstream')
  return read.ok ? read.value : undefined
}

function cleanInfo(info: UpstreamInfo, redact: Redact): UpstreamInfo {
  const json = Buffer.from(JSON.stringify(info))
  const clean = redact(json)
  // Optional fields that are undefined are absent in the copy, which reads the same.
  return clean === json ? info : (JSON.parse(clean.toString('utf8')) as UpstreamInfo)
}
