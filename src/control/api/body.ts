import { Fault } from '../../lib/fault.ts'
import { MAX_BODY_BYTES } from '../parse-manifests.ts'

type BodyFormat = 'json' | 'yaml'

const FORMATS: Readonly<Record<string, BodyFormat>> = {
  'application/json': 'json',
  'application/merge-patch+json': 'json',
  'application/yaml': 'yaml',
  'application/x-yaml': 'yaml',
  'text/yaml': 'yaml',
  'text/x-yaml': 'yaml',
}

export interface Body {
  readonly text: string
  readonly format: BodyFormat
}

/**
 * The body as text, at most 8 MiB of it or what is said, in UTF-8.
 *
 * @throws Fault `unsupported_media`, `too_large`, `invalid`
 */
export async function readBody(request: Request, maxBytes = MAX_BODY_BYTES): Promise<Body> {
  const type = (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const format = Object.hasOwn(FORMATS, type) ? FORMATS[type] : undefined
  const encoding = request.headers.get('content-encoding') ?? 'identity'
  if (format === undefined || encoding !== 'identity') {
    throw new Fault('unsupported_media', {
      hint: 'send a manifest as Content-Type: application/yaml or application/json, not compressed',
    })
  }
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)), format }
  } catch {
    throw new Fault('invalid', { problems: ['the body is not valid UTF-8'] })
  }
}

const tooLarge = (maxBytes: number): Fault =>
  new Fault('too_large', {
    hint:
      maxBytes < MAX_BODY_BYTES
        ? `a body may have ${maxBytes / 1024} KiB here`
        : 'a body may have 8 MiB; apply the manifests in several parts',
  })
