import type { Position, Statement, Token } from "@ha/base";
import { type BuildContext, findScriptUser } from "./build-context.ts";
import { splitCommand } from "./command-words.ts";
import type { Command, NotifyScript, ScriptUser } from "./model.ts";

/** The words of a script statement by the rules of commands, all placed where the command stands. */
export function commandTokens(statement: Statement): readonly Token[] | undefined {
  const at = statement.words[1]?.at ?? statement.words[0].at;
  const words = splitCommand(statement.text);
  return words?.slice(1).map((text) => ({ text, at }));
}

/** The command in the first word, split once more into its arguments. */
export function readCommand(token: Token): Command | undefined {
  const argv = splitCommand(token.text);
  if (argv === undefined || argv.length === 0 || argv[0] === "") return undefined;
  return { argv, text: token.text, at: token.at };
}

/** The user a script without a user of its own runs as. */
export function defaultScriptUser(
  context: BuildContext,
): ScriptUser | { readonly problem: string } | undefined {
  const { globals, host } = context;
  if (context.scriptUserBroken) return undefined;
  if (globals.script_user !== undefined) return globals.script_user;
  if (globals.enable_script_security) {
    return {
      problem:
        "there is neither a script_user in global_defs nor a user keepalived_script to run it",
    };
  }
  return host.ownUser;
}

/** Notes a script that will run although nobody asked whether others could change it. */
export function noteSecurity(
  context: BuildContext,
  at: Position,
  unsafe: string | undefined,
): void {
  if (context.globals.enable_script_security) return;
  context.security.at ??= at;
  if (unsafe !== undefined) context.security.unsafe ??= unsafe;
}

/**
 * A `notify_*`, FIFO, startup or shutdown script. One that cannot run is dropped with a warning, which leaves the
 * verdict of `-t` alone; without anybody to run it as it is an error. observed: keepalived 2.2.7
 */
export function buildNotifyScript(
  statement: Statement,
  context: BuildContext,
): NotifyScript | undefined {
  const { diagnostics, host } = context;
  const [keyword] = statement.words;
  const drop = (message: string, at: Position, hint?: string): undefined => {
    diagnostics.warning(
      "config/script-dropped",
      at,
      `${keyword.text}: ${message}; the script will not run`,
      hint,
    );
    return undefined;
  };
  const tokens = commandTokens(statement);
  if (tokens === undefined) {
    diagnostics.error("config/unterminated-quote", keyword.at, `${keyword.text} has an open quote`);
    return undefined;
  }
  const [first, userToken, groupToken] = tokens;
  if (first === undefined) {
    diagnostics.error("config/bad-value", keyword.at, `${keyword.text} lacks its script`);
    return undefined;
  }
  const command = readCommand(first);
  if (command === undefined) return drop("the command is empty", first.at);

  let user: ScriptUser;
  if (userToken === undefined) {
    const fallback = defaultScriptUser(context);
    if (fallback === undefined) return drop("script_user does not exist", first.at);
    if ("problem" in fallback) {
      diagnostics.error(
        "config/script-user",
        first.at,
        `${keyword.text}: ${fallback.problem}`,
        "write script_user <name> in global_defs",
      );
      return undefined;
    }
    user = fallback;
  } else {
    const found = findScriptUser(
      host,
      userToken,
      groupToken,
      context.globals.set_supplementary_groups,
    );
    if ("problem" in found) {
      return drop(
        found.problem,
        found.at,
        "words after the command are user and group; quote a command with arguments",
      );
    }
    user = found;
  }

  const found = host.findScript(command.argv[0] ?? "", user);
  if (found.problem === "missing") return drop(`${command.argv[0]} is not there`, first.at);
  const unsafe = user.uid === 0 ? found.unsafe : undefined;
  const reason = unsafe === undefined ? undefined : `${unsafe.path} ${unsafe.why}`;
  noteSecurity(context, first.at, reason);
  if (found.problem !== undefined && context.globals.enable_script_security) {
    return drop(`${command.argv[0]} is not executable`, first.at);
  }
  if (reason !== undefined && context.globals.enable_script_security) return drop(reason, first.at);
  return {
    command: {
      ...command,
      ...(found.path === undefined || context.globals.use_symlink_paths
        ? {}
        : { path: found.path }),
    },
    user,
  };
}
