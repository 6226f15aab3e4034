import { parseArgs } from "node:util";
import type { Programs } from "../core/index.ts";

export type Command = "up" | "drill" | "down" | "list" | "shell" | "hold";

/** The command line of the lab. */
export interface LabArguments {
  readonly command: Command;
  readonly names: readonly string[];
  readonly driver: "netns" | "vagrant";
  readonly programs: Programs;
  readonly jobs: number;
  /** Where state and artefacts go. */
  readonly folder: string;
  readonly json: boolean;
}

export const USAGE = `usage: ./scripts/lab COMMAND [options] [NAME...]

  list             the drills, and what each claims
  drill [NAME...]  run drills: all of them, or these, or files of your own; ends with a table
  up               a lab to look around in: two balancers, two web servers, a client
  shell HOST [COMMAND...]   a shell, or a command, on a host of that lab
  down             end that lab

  --driver netns|vagrant      hosts are namespaces of this machine (default), or virtual machines
  --daemon vrrpd|keepalived   what speaks VRRP on the balancers (default: vrrpd)
  --proxy lbproxy|haproxy     what serves HTTP there (default: lbproxy)
  --jobs N                    labs at once, netns only (default: 3)
  --out DIR                   state and artefacts (default: .lab)
  --json                      drill: one JSON object a drill instead of the table
  --help                      this

Each drill leaves a folder with verdict.json, history.jsonl, timeline.svg, logs and capture.pcap.
Exit status: 0 no drill failed, 1 one failed or was inconclusive, 2 wrong usage or a broken drill, 3 it cannot run here.
`;

/** Reads the command line; the problem in words when it is wrong. */
export function parseArguments(
  words: readonly string[],
): LabArguments | { readonly help: true } | { readonly problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: {
        driver: { type: "string", default: "netns" },
        daemon: { type: "string", default: "vrrpd" },
        proxy: { type: "string", default: "lbproxy" },
        jobs: { type: "string", default: "3" },
        out: { type: "string", default: ".lab" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
      allowPositionals: true,
    });
    if (values.help) return { help: true };
    const [word = "", ...names] = positionals;
    const command = COMMANDS.find((one) => one === word);
    if (command === undefined)
      return { problem: word === "" ? "no command" : `no command is called '${word}'` };
    const driver = oneOf(["netns", "vagrant"] as const, values.driver);
    const daemon = oneOf(["vrrpd", "keepalived"] as const, values.daemon);
    const proxy = oneOf(["lbproxy", "haproxy"] as const, values.proxy);
    const jobs = /^[1-9]\d?$/.test(values.jobs) ? Number(values.jobs) : undefined;
    if (driver === undefined)
      return { problem: `--driver is netns or vagrant, not '${values.driver}'` };
    if (daemon === undefined)
      return { problem: `--daemon is vrrpd or keepalived, not '${values.daemon}'` };
    if (proxy === undefined)
      return { problem: `--proxy is lbproxy or haproxy, not '${values.proxy}'` };
    if (jobs === undefined)
      return { problem: `--jobs is a number from 1 to 99, not '${values.jobs}'` };
    return {
      command,
      names,
      driver,
      programs: { daemon, proxy },
      jobs,
      folder: values.out,
      json: values.json,
    };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

const COMMANDS: readonly Command[] = ["up", "drill", "down", "list", "shell", "hold"];

function oneOf<T extends string>(known: readonly T[], word: string): T | undefined {
  return known.find((one) => one === word);
}
