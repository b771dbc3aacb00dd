/** Whether a header or variable by this name is likely to hold a credential, so that its value may not stand in a manifest. */
export const isSensitiveName = (name: string): boolean =>
  /(?:authorization|cookie|key|token|secret|password|passwd|credentials?)$/i.test(name.replaceAll('-', '_'))
