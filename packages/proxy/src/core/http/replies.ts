import { asciiBytes } from "./bytes.ts";

/**
 * The proxy's own answers, byte for byte as HAProxy words them: status line, fields and body, without a word on
 * the connection. Observed: haproxy 2.6.12; 414 and 431 in the manner of the others.
 */
export function standardReply(status: number): Uint8Array {
  return replies.get(status) ?? (replies.get(500) as Uint8Array);
}

/** Whether the status ends the connection by itself: what follows the request cannot be told. */
export function closesConnection(status: number): boolean {
  return status === 400 || status === 408 || status === 413 || status === 414 || status === 431;
}

/** Reason phrases as HAProxy spells them; "Unknown" for those it has no word for. */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? "Unknown";
}

const REASONS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Unauthorized",
  408: "Request Time-out",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Payload Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Time-out",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
  511: "Network Authentication Required",
};

const TEXTS: readonly (readonly [number, string])[] = [
  [200, "Service ready."],
  [400, "Your browser sent an invalid request."],
  [401, "You need a valid user and password to access this content."],
  [403, "Request forbidden by administrative rules."],
  [404, "The resource could not be found."],
  [405, "A request was made of a resource using a request method not supported by that resource"],
  [407, "You need a valid user and password to access this content."],
  [408, "Your browser didn't send a complete request in time."],
  [410, "The resource is no longer available and will not be available again."],
  [413, "The request entity exceeds the maximum allowed."],
  [414, "The request target is longer than the maximum allowed."],
  [421, "Request sent to a non-authoritative server."],
  [422, "The server cannot process the contained instructions."],
  [425, "Your browser sent early data."],
  [429, "You have sent too many requests in a given amount of time."],
  [431, "The request fields are larger than the maximum allowed."],
  [500, "An internal server error occurred."],
  [501, ".The server does not support the functionality required to fulfill the request."],
  [502, "The server returned an invalid or incomplete response."],
  [503, "No server is available to handle this request."],
  [504, "The server didn't respond in time."],
];

const replies: ReadonlyMap<number, Uint8Array> = new Map(
  TEXTS.map(([status, text]) => {
    const title = `${status} ${reasonPhrase(status)}`;
    const body = `<html><body><h1>${title}</h1>\n${text}\n</body></html>\n`;
    const head = `HTTP/1.1 ${title}\r\ncontent-length: ${body.length}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n`;
    return [status, asciiBytes(head + body)];
  }),
);
