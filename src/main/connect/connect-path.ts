/** Below it are the pages on which people connect accounts of their own. */
export const CONNECT_PATH = '/connect/'
