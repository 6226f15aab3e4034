import { setFlagsFromString } from "node:v8";
import { helpText, parseCli } from "./cli.ts";
import { EarlySignals } from "./early-signals.ts";
import { printVersion } from "./version.ts";

/** The command `vrrpd`. Each way to run loads only what it needs, so that `-t` stays quick. */
async function main(args: readonly string[]): Promise<number> {
  const parsed = parseCli(args);
  if ("problem" in parsed) {
    process.stderr.write(`vrrpd: ${parsed.problem}\n${helpText()}`);
    return 1;
  }
  const { options } = parsed;
  if (options.help) {
    process.stdout.write(helpText());
    return 0;
  }
  if (options.version) {
    printVersion();
    return 0;
  }
  if (options.signum !== undefined) {
    const { printSignalNumber } = await import("./signal-number.ts");
    return printSignalNumber(options.signum);
  }
  if (options.configTest !== false) {
    const { runConfigTest } = await import("./config-test.ts");
    return runConfigTest(options);
  }
  if (options.dump !== undefined) {
    const { runDump } = await import("./dump-config.ts");
    return runDump(options);
  }
  if (options.explain) {
    const { runExplain } = await import("./explain.ts");
    return runExplain(options);
  }
  const { isInBackground, startInBackground } = await import("./background.ts");
  if (!options.foreground && !isInBackground(process.env)) {
    return startInBackground(process.argv.slice(1), options);
  }
  // V8 forgets the compiled code of what has not run for long: a takeover would be slow after a quiet week.
  setFlagsFromString("--no-flush-bytecode");
  const early = new EarlySignals();
  const { runDaemon } = await import("./daemon.ts");
  // Whatever a library still holds open must not hold the end up.
  process.exit(await runDaemon(options, early));
}

process.exitCode = await main(process.argv.slice(2));
