/** Whether two trackers do the same, wherever they stand in their files. */
export function sameTracker(a: object, b: object): boolean {
  return textOf(a) === textOf(b);
}

function textOf(config: object): string {
  return JSON.stringify(config, (key, value: unknown) => (key === "at" ? undefined : value));
}
