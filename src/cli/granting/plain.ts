/** Words that somebody else wrote, for a screen: nothing in them moves a cursor or breaks a line. */
export const plain = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?').slice(0, 500)
