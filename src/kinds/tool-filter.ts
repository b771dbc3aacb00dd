import { z } from 'zod'
import { Glob } from './define-kind.ts'

/** Allow and deny lists of tools; what the globs are held against is for the kind to say. */
export const toolFilter = (about: { readonly allow: string; readonly deny: string }) =>
  z
    .strictObject({
      allow: z.array(Glob).max(1000).optional().describe(about.allow),
      deny: z.array(Glob).max(1000).default([]).describe(about.deny),
    })
    .prefault({})
