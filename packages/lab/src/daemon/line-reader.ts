/** Cuts what a stream delivers into lines; one that is not finished yet waits. */
export function lineReader(use: (line: string) => void): (chunk: Buffer | string) => void {
  let unread = "";
  return (chunk) => {
    const lines = (unread + chunk.toString()).split("\n");
    unread = lines.pop() ?? "";
    for (const line of lines) use(line);
  };
}
