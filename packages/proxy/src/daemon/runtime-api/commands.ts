import type { Command } from "./command.ts";
import { helpText } from "./command-line.ts";
import { frontendCommands } from "./frontend-commands.ts";
import { observingCommands } from "./observing-commands.ts";
import { patternCommands } from "./pattern-commands.ts";
import { processCommands } from "./process-commands.ts";
import { serverCommands } from "./server-commands.ts";
import { sessionCommands } from "./session-commands.ts";
import { statisticsCommands } from "./statistics-commands.ts";
import { tableCommands } from "./table-commands.ts";
import { tlsAuthorityCommands } from "./tls-authority-commands.ts";
import { tlsCertificateCommands } from "./tls-certificate-commands.ts";
import { tlsKeyCommands } from "./tls-key-commands.ts";
import { tlsListCommands } from "./tls-list-commands.ts";

const help: Command = {
  words: ["help"],
  usage: "help [<command>]",
  doc: "lists commands, all or those that begin so",
  level: "user",
  run: (args) => helpText(RUNTIME_COMMANDS, args, "help"),
};

/** Every command of the runtime API. */
export const RUNTIME_COMMANDS: readonly Command[] = [
  ...statisticsCommands,
  ...serverCommands,
  ...frontendCommands,
  ...patternCommands,
  ...tableCommands,
  ...sessionCommands,
  ...processCommands,
  ...tlsCertificateCommands,
  ...tlsAuthorityCommands,
  ...tlsListCommands,
  ...tlsKeyCommands,
  ...observingCommands,
  help,
];
