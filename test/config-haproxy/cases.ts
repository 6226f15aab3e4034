/**
 * Small configurations in one file, apart by `---`. The first line of each says where its lines stand:
 * `G:` in global, `F:` in a frontend, `B:` in a backend, `L:` in a listen, `S:` before all else.
 * The rest of a small valid file is put round them.
 */
export interface Case {
  readonly name: string;
  readonly text: string;
}

const DEFAULTS = `defaults
 mode http
 timeout connect 5s
 timeout client 5s
 timeout server 5s
`;
const FRONTEND = `frontend f
 bind :8080
 default_backend b
`;
const BACKEND = `backend b
 server s 127.0.0.1:1
`;
const LISTEN = `listen l
 bind :8080
 server s 127.0.0.1:1
`;

export function readCases(text: string): Case[] {
  return text.split(/^---\n/m).map((block) => {
    const body = block.slice(block.indexOf("\n") + 1);
    return { name: block.trim().replaceAll("\n", " ⏎ "), text: around(block.slice(0, 2), body) };
  });
}

function around(kind: string, body: string): string {
  switch (kind) {
    case "G:":
      return `global\n${body}${DEFAULTS}${LISTEN}`;
    case "F:":
      return `${DEFAULTS}${FRONTEND}${body}${BACKEND}`;
    case "B:":
      return `${DEFAULTS}${FRONTEND}backend b\n${body}`;
    case "L:":
      return `${DEFAULTS}listen l\n bind :8080\n${body}`;
    case "S:":
      return `${body}${DEFAULTS}${LISTEN}`;
    default:
      throw new Error(`a case begins with G:, F:, B:, L: or S:, not with '${kind}'`);
  }
}
