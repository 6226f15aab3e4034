const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Five letters for a date: steps of four seconds since 1970, most significant first. HAProxy's form. */
export function cookieDate(secondsSince1970: number): string {
  let rest = Math.floor((secondsSince1970 + 3) / 4);
  let text = "";
  for (let i = 0; i < 5; i++) {
    text = (LETTERS[rest % 64] as string) + text;
    rest = Math.floor(rest / 64);
  }
  return text;
}

/** Seconds since 1970; 0 for what is no such text. */
export function dateOfCookie(text: string | undefined): number {
  if (text === undefined || text.length !== 5) return 0;
  let value = 0;
  for (const character of text) {
    const digit = LETTERS.indexOf(character);
    if (digit === -1) return 0;
    value = value * 64 + digit;
  }
  return value * 4;
}
