import type * as oauth from 'oauth4webapi'
import type { Fetcher } from './guarded-fetch.ts'

export type Library = typeof oauth

/** Loaded with the first use: a daemon without OAuth does without. */
export const loadLibrary = (): Promise<Library> => import('oauth4webapi')

/**
 * Options of the library: each request goes through the fetcher, which decides where `http:` is allowed.
 *
 * @param read what is made of an answer before the library sees it
 */
export const throughFetcher = (
  library: Library,
  fetcher: Fetcher,
  timeoutMs: number,
  read: (answer: Response) => Promise<Response> | Response = (answer) => answer,
) =>
  ({
    [library.allowInsecureRequests]: true,
    [library.customFetch]: async (
      url: string,
      { method, headers, body }: { method: string; headers: Record<string, string>; body?: unknown },
    ): Promise<Response> => {
      const sent = body instanceof URLSearchParams ? body.toString() : undefined
      return read(await fetcher.send(url, { method, headers, body: sent }, timeoutMs))
    },
  }) as const
