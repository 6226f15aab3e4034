import { setFlagsFromString } from "node:v8";
import { parseCommandLine, USAGE } from "./cli.ts";
import { takeProcessName } from "./process-name.ts";

// Each mode loads what it needs and no more: `-cc` and `-v` are asked many times by test runners.
const command = parseCommandLine(process.argv.slice(2));
switch (command.mode) {
  case "usage": {
    const { versionText } = await import("./build-facts.ts");
    if (command.error !== undefined) process.stderr.write(`lbproxy: ${command.error}\n`);
    process.stdout.write(versionText() + USAGE);
    process.exitCode = 1;
    break;
  }
  case "version":
  case "build": {
    const { buildText, versionText } = await import("./build-facts.ts");
    process.stdout.write(command.mode === "build" ? buildText() : versionText());
    break;
  }
  case "condition": {
    const { checkCondition } = await import("./condition-check.ts");
    process.exitCode = checkCondition(command);
    break;
  }
  case "check": {
    const { checkConfiguration } = await import("./config-check.ts");
    process.exitCode = await checkConfiguration(command);
    break;
  }
  case "dump": {
    const { dumpConfiguration } = await import("./config-dump.ts");
    process.exitCode = await dumpConfiguration(command);
    break;
  }
  case "run": {
    takeProcessName();
    // What loading allocates would make V8 keep 10 MB for young objects that serving does not need. Few of them survive
    // then, and to share so little work among threads costs more, when cores are busy some milliseconds, than it saves.
    setFlagsFromString("--semi-space-growth-factor=1");
    setFlagsFromString("--no-parallel-scavenge");
    const { serve } = await import("./serve.ts");
    await serve(command);
    setFlagsFromString("--semi-space-growth-factor=2");
    break;
  }
}
