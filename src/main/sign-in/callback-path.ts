/** Where identity providers send browsers back to: the same for each of them, so it is registered there once. */
export const CALLBACK_PATH = '/oauth/sign-in/callback'
