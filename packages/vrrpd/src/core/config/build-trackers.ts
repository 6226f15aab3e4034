import {
  compareAddresses,
  type Micros,
  micros,
  type Statement,
  seconds,
  type Token,
} from "@ha/base";
import { type Block, readBlock } from "./block.ts";
import { type BuildContext, findScriptUser } from "./build-context.ts";
import { commandTokens, defaultScriptUser, noteSecurity, readCommand } from "./build-script.ts";
import type { BfdInstance, ScriptUser, TrackFile, TrackProcess, TrackScript } from "./model.ts";
import { bfdTable, fileTable, processTable, scriptTable } from "./script-table.ts";

/** `vrrp_script NAME { … }`. One that cannot run is still there, marked so; without a command there is nothing. */
export function buildTrackScript(
  statement: Statement,
  context: BuildContext,
): TrackScript | undefined {
  const { diagnostics, globals } = context;
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  const block = readBlock(scriptTable, statement.body ?? [], diagnostics, {
    at: keyword.at,
    name: name.text,
  });
  const written = block.written("script");
  const tokens = written === undefined ? [] : commandTokens(written.statement);
  const first = tokens?.[0];
  const command = first === undefined ? undefined : readCommand(first);
  if (written === undefined || command === undefined) {
    diagnostics.error(
      "config/no-script",
      statement.end ?? keyword.at,
      `vrrp_script ${name.text} has no script; it is ignored`,
    );
    return undefined;
  }
  if ((tokens?.length ?? 0) > 1) {
    diagnostics.warning(
      "config/trap",
      command.at,
      `only '${command.text}' is run, the words after it are not read`,
      'quote the command with its arguments: script "..."',
    );
  }
  const testFile = command.argv[0]?.startsWith("<") === true ? command.argv[0].slice(1) : undefined;
  const user = scriptUser(block, statement, context);
  let cannotRun = "problem" in user ? user.problem : undefined;
  let path: string | undefined;
  if (testFile === undefined && !("problem" in user)) {
    const found = context.host.findScript(command.argv[0] ?? "", user);
    path = globals.use_symlink_paths ? undefined : found.path;
    const unsafe = user.uid === 0 ? found.unsafe : undefined;
    const reason = unsafe === undefined ? undefined : `${unsafe.path} ${unsafe.why}`;
    if (found.problem === undefined || found.problem === "not-executable") {
      noteSecurity(context, command.at, reason);
    }
    if (found.problem === "missing") cannotRun = `${command.argv[0]} is not there`;
    else if (found.problem === "not-a-file") cannotRun = `${command.argv[0]} is not a file`;
    else if (reason !== undefined && globals.enable_script_security) cannotRun = reason;
    if (cannotRun !== undefined) {
      const security = found.problem === "not-a-file" && !globals.enable_script_security;
      if (security) noteSecurity(context, command.at, undefined);
      else {
        diagnostics.error(
          "config/script-cannot-run",
          command.at,
          `vrrp_script ${name.text} cannot run: ${cannotRun}`,
          conduct(globals.vrrp_script_cannot_run_fails),
        );
      }
    } else if (found.problem === "not-executable") {
      cannotRun = `${command.argv[0]} is not executable`;
      diagnostics.warning(
        "config/script-dropped",
        command.at,
        `vrrp_script ${name.text} cannot run: ${cannotRun}`,
        conduct(globals.vrrp_script_cannot_run_fails),
      );
    }
  }
  const interval = block.take("interval") ?? seconds(1);
  return {
    name: name.text,
    at: keyword.at,
    command: path === undefined ? command : { ...command, path },
    ...(testFile === undefined ? {} : { test_file: testFile }),
    ...("problem" in user ? {} : { user }),
    interval,
    timeout: block.get("timeout") ?? interval,
    ...weightOf(block.take("weight")),
    rise: block.take("rise") ?? 1,
    fall: block.take("fall") ?? 1,
    init_fail: block.get("init_fail") ?? false,
    ...(cannotRun === undefined ? {} : { cannot_run: cannotRun }),
  };
}

function conduct(fails: boolean): string {
  return fails
    ? "it counts as failed; keepalived would go on untracked (vrrp_script_cannot_run_fails off)"
    : "as in keepalived, it is not tracked at all";
}

function scriptUser(
  block: Block<typeof scriptTable>,
  statement: Statement,
  context: BuildContext,
): ScriptUser | { readonly problem: string } {
  const { diagnostics, host, globals } = context;
  const written = block.written("user");
  const at = statement.end ?? statement.words[0].at;
  if (written === undefined) {
    const fallback = defaultScriptUser(context);
    if (fallback === undefined) {
      diagnostics.error(
        "config/script-user",
        at,
        "script_user does not exist, so nobody can run this",
      );
      return { problem: "script_user does not exist" };
    }
    if ("problem" in fallback) {
      diagnostics.error(
        "config/script-user",
        at,
        fallback.problem,
        "write script_user <name> in global_defs, or user <name> here",
      );
    }
    return fallback;
  }
  const [, user, group] = written.statement.words;
  if (user === undefined) return { problem: "it has no user" };
  const found = findScriptUser(host, user, group, globals.set_supplementary_groups);
  if (!("problem" in found)) return found;
  diagnostics.error("config/script-user", found.at, found.problem);
  return { problem: found.problem };
}

export function weightOf(weight: { weight: number; reverse: boolean } | undefined): {
  weight: number;
  reverse: boolean;
} {
  return weight ?? { weight: 0, reverse: false };
}

export function buildTrackProcess(
  statement: Statement,
  context: BuildContext,
): TrackProcess | undefined {
  const { diagnostics } = context;
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  const block = readBlock(processTable, statement.body ?? [], diagnostics, { at: keyword.at });
  const written = block.written("process");
  const [process, ...params] =
    written === undefined ? [] : (commandTokens(written.statement) ?? []);
  if (process === undefined) {
    diagnostics.error(
      "config/no-process",
      statement.end ?? keyword.at,
      `vrrp_track_process ${name.text} names no process; it is ignored`,
    );
    return undefined;
  }
  const quorum = block.take("quorum") ?? 1;
  let most = block.get("quorum_max");
  if (most !== undefined && most !== 0 && most < quorum) {
    diagnostics.error(
      "config/bad-value",
      block.positionOf("quorum_max"),
      `quorum_max ${most} is below quorum ${quorum}; it is ignored`,
    );
    most = undefined;
  }
  const match = block.get("param_match");
  const delay = block.get("delay");
  return {
    name: name.text,
    at: keyword.at,
    process: process.text,
    params: params.map(({ text }) => text),
    ...(match === undefined && params.length === 0 ? {} : { param_match: match ?? "exact" }),
    full_command: block.get("full_command") ?? false,
    ...weightOf(block.take("weight")),
    quorum,
    ...(most === undefined ? {} : { quorum_max: most }),
    fork_delay: block.get("fork_delay") ?? delay ?? micros(0),
    terminate_delay: block.get("terminate_delay") ?? delay ?? micros(0),
  };
}

export function buildTrackFile(statement: Statement, context: BuildContext): TrackFile | undefined {
  const { diagnostics, host } = context;
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  const block = readBlock(fileTable, statement.body ?? [], diagnostics, { at: keyword.at });
  const written = block.written("file");
  const file = written === undefined ? undefined : commandTokens(written.statement)?.[0];
  if (file === undefined || file.text === "") {
    diagnostics.error(
      "config/no-file",
      statement.end ?? keyword.at,
      `${keyword.text} ${name.text} has no file; it is ignored`,
    );
    return undefined;
  }
  const folder = host.fileProblem(file.text, "folder");
  if (host.checksWorld && folder !== undefined) {
    diagnostics.error(
      "config/no-file",
      file.at,
      `the folder of ${file.text} ${folder}`,
      "create it: a file there cannot be watched without",
    );
  }
  const init = block.get("init_file");
  return {
    name: name.text,
    at: keyword.at,
    file: file.text,
    ...(block.take("weight") ?? { weight: 1, reverse: false }),
    ...(init === undefined ? {} : { init_file: init }),
  };
}

export function buildBfd(
  statement: Statement,
  before: readonly BfdInstance[],
  context: BuildContext,
): (BfdInstance & { readonly forVrrp: boolean }) | undefined {
  const { diagnostics } = context;
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  const refuse = (message: string, at = keyword.at): undefined => {
    diagnostics.error("config/bfd", at, `bfd_instance ${name.text}: ${message}; it is ignored`);
    return undefined;
  };
  if (name.text.length > 31) return refuse("the name is longer than 31 characters", name.at);
  if (before.some((bfd) => bfd.name === name.text)) return refuse("it is there already");
  const block = readBlock(bfdTable, statement.body ?? [], diagnostics, { at: keyword.at });
  const neighbor = block.get("neighbor_ip") ?? block.get("neighbour_ip");
  const end = statement.end ?? keyword.at;
  if (neighbor === undefined) {
    const wrong = (statement.body ?? []).some(({ words: [word] }) =>
      /^neighbou?r_ip$/.test(word.text),
    );
    return wrong ? undefined : refuse("it has no neighbor_ip", end);
  }
  if (before.some((bfd) => compareAddresses(bfd.neighbor_ip, neighbor) === 0)) {
    return refuse("another session has the same neighbor_ip", end);
  }
  const source = block.get("source_ip");
  if (source !== undefined && source.family !== neighbor.family) {
    return refuse("neighbor_ip and source_ip are of two families", end);
  }
  const ten = 10_000;
  return {
    name: name.text,
    at: keyword.at,
    neighbor_ip: neighbor,
    ...(source === undefined ? {} : { source_ip: source }),
    min_rx: block.take("min_rx") ?? micros(ten),
    min_tx: block.take("min_tx") ?? micros(ten),
    idle_tx: block.take("idle_tx") ?? seconds(1),
    multiplier: block.take("multiplier") ?? 5,
    passive: block.get("passive") ?? false,
    ttl: block.get("ttl") ?? block.get("hoplimit") ?? (neighbor.family === 4 ? 255 : 64),
    max_hops: block.take("max_hops") ?? 0,
    multihop: block.get("multihop") ?? false,
    ...weightOf(block.take("weight")),
    forVrrp: block.get("vrrp") === true || block.get("checker") !== true,
  };
}

/** Decimal seconds of a line, 0 to 255, for `interface_up_down_delays`. */
export function readDelay(
  word: Token,
  parse: (text: string) => number | undefined,
): Micros | undefined {
  const value = parse(word.text);
  return value === undefined || value < 0 || value > 255_000_000 ? undefined : micros(value);
}
