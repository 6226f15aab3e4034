/** An HTTP answer as checks look at it. */
export interface HttpAnswer {
  readonly status: number;
  readonly reason: string;
  /** In order; names in lower case. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** What has come of it, uncoded. */
  readonly body: string;
  readonly isWhole: boolean;
}

/**
 * Reads an answer (Latin-1) as far as it has come. "incomplete": the head has not ended; "invalid": it is no HTTP.
 * Lenient with what does not matter to a check. RFC 9112 §4
 */
export function readHttpAnswer(text: string): HttpAnswer | "incomplete" | "invalid" {
  const line = /^HTTP\/\d\.\d +(\d{3})(?: ([^\r\n]*))?\r?\n/.exec(text);
  if (line === null) {
    const lineEnds = text.includes("\n");
    return !lineEnds && couldBegin(text) ? "incomplete" : "invalid";
  }
  const headEnd = /\r?\n\r?\n/.exec(text.slice(line[0].length - 2));
  if (headEnd === null) return text.length > MAX_HEAD ? "invalid" : "incomplete";
  const bodyStart = line[0].length - 2 + headEnd.index + headEnd[0].length;
  const headers = text
    .slice(line[0].length, bodyStart)
    .split(/\r?\n/)
    .flatMap((field) => {
      const colon = field.indexOf(":");
      if (colon <= 0) return [];
      return [{ name: field.slice(0, colon).toLowerCase(), value: field.slice(colon + 1).trim() }];
    });
  const status = Number(line[1]);
  if (status >= 100 && status < 200 && status !== 101) {
    return text.length > bodyStart ? readHttpAnswer(text.slice(bodyStart)) : "incomplete";
  }
  return {
    status,
    reason: line[2] ?? "",
    headers,
    ...readBody(status, headers, text.slice(bodyStart)),
  };
}

function readBody(
  status: number,
  headers: HttpAnswer["headers"],
  raw: string,
): Pick<HttpAnswer, "body" | "isWhole"> {
  const field = (name: string) => headers.find((header) => header.name === name)?.value;
  if (status === 204 || status === 304) return { body: "", isWhole: true };
  if (field("transfer-encoding")?.toLowerCase().endsWith("chunked")) return readChunks(raw);
  const length = field("content-length");
  if (length === undefined || !/^\d{1,15}$/.test(length)) return { body: raw, isWhole: false };
  const size = Number(length);
  return { body: raw.slice(0, size), isWhole: raw.length >= size };
}

function readChunks(raw: string): Pick<HttpAnswer, "body" | "isWhole"> {
  let body = "";
  for (let at = 0; ; ) {
    const head = /^([0-9a-fA-F]{1,8})[^\r\n]*\r?\n/.exec(raw.slice(at, at + 256));
    if (head === null) return { body, isWhole: false };
    const size = Number.parseInt(head[1] ?? "0", 16);
    at += head[0].length;
    if (size === 0) return { body, isWhole: true };
    body += raw.slice(at, at + size);
    if (at + size >= raw.length) return { body, isWhole: false };
    at += size + (raw.startsWith("\r\n", at + size) ? 2 : 1);
  }
}

/** Whether bytes may still become a status line. */
function couldBegin(text: string): boolean {
  const start = "HTTP/";
  return start.startsWith(text.slice(0, start.length)) && text.length < MAX_HEAD;
}

const MAX_HEAD = 16_384;
