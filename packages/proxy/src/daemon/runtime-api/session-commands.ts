import { type Command, type CommandContext, refuse } from "./command.ts";
import { parseSessionName, type SessionView, sessionName } from "./session-view.ts";

export const sessionCommands: readonly Command[] = [
  {
    words: ["show", "sess"],
    usage: "show sess [id]",
    doc: "lists sessions, or one",
    level: "operator",
    run: async ([name], context) => {
      const sessions = await allSessions(context);
      if (name?.startsWith("0x")) {
        const found = sessions.find((session) => sessionName(session) === name.toLowerCase());
        return found === undefined ? refuse("Session not found.") : sessionLine(found);
      }
      return sessions.map(sessionLine).join("");
    },
  },
  {
    words: ["shutdown", "session"],
    usage: "shutdown session [id]",
    doc: "ends a session",
    level: "admin",
    run: async ([name], context) => {
      if (name === undefined) return refuse("Session pointer expected (use 'show sess').");
      const wanted = parseSessionName(name);
      const sessions = wanted === undefined ? [] : await allSessions(context);
      const isThere = sessions.some(
        ({ thread, session }) => thread === wanted?.thread && session === wanted.session,
      );
      if (wanted === undefined || !isThere) return refuse("No such session (use 'show sess').");
      await context.process.fleet.ask({ kind: "end-session", ...wanted });
      return "";
    },
  },
];

async function allSessions({ process }: CommandContext): Promise<readonly SessionView[]> {
  const answers = await process.fleet.ask({ kind: "sessions" });
  return answers.flatMap((answer) => (Array.isArray(answer) ? (answer as SessionView[]) : []));
}

/** HAProxy's first words, then what there is here: bytes and requests. */
function sessionLine(session: SessionView): string {
  const { source, frontend, backend, server, ageSeconds, bytesIn, bytesOut, transactions } =
    session;
  const protocol = source.startsWith("unix")
    ? "unix_stream"
    : source.startsWith("[")
      ? "tcpv6"
      : "tcpv4";
  return `${sessionName(session)}: proto=${protocol} src=${source} fe=${frontend} be=${backend} srv=${server} ts=${String(session.thread - 1).padStart(2, "0")} age=${ageSeconds}s calls=${transactions} rq[i=${bytesIn}] rp[i=${bytesOut}]\n`;
}
