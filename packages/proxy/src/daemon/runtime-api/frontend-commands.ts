import type { ProxyState } from "../../core/server/proxy-state.ts";
import { findProxy } from "../../core/stats/source.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

export const frontendCommands: readonly Command[] = [
  {
    words: ["disable", "frontend"],
    usage: "disable frontend <frontend>",
    doc: "lets a frontend accept nothing for the time being",
    level: "admin",
    run: ([name], context) =>
      onFrontend(name, context, ({ counters, index }) => {
        if (counters.isShutDown)
          return refuse("Frontend was previously shut down, cannot disable.");
        if (counters.isPaused) return refuse("All sockets are already disabled.");
        counters.setCondition("paused");
        return changed(index, context);
      }),
  },
  {
    words: ["enable", "frontend"],
    usage: "enable frontend <frontend>",
    doc: "lets a disabled frontend accept again",
    level: "admin",
    run: ([name], context) =>
      onFrontend(name, context, ({ counters, index }) => {
        if (counters.isShutDown) return refuse("Frontend was previously shut down, cannot enable.");
        if (!counters.isPaused) return refuse("All sockets are already enabled.");
        counters.setCondition("running");
        return changed(index, context);
      }),
  },
  {
    words: ["shutdown", "frontend"],
    usage: "shutdown frontend <frontend>",
    doc: "closes a frontend's sockets for good",
    level: "admin",
    run: ([name], context) =>
      onFrontend(name, context, ({ counters, index }) => {
        if (counters.isShutDown) return refuse("Frontend was already shut down.");
        counters.setCondition("shut down");
        return changed(index, context);
      }),
  },
  {
    words: ["set", "maxconn", "frontend"],
    usage: "set maxconn frontend <frontend> <value>",
    doc: "changes a frontend's limit of connections",
    level: "admin",
    run: ([name, value], context) =>
      onFrontend(name, context, ({ counters, index }) => {
        if (value === undefined || !/^\d+$/.test(value)) return refuse("Integer value expected.");
        counters.maxconn = Number(value);
        void context.process.fleet.ask({ kind: "frontend", proxy: index });
        return "";
      }),
  },
  {
    words: ["set", "maxconn", "global"],
    usage: "set maxconn global <value>",
    doc: "changes the process's limit of connections, at most to that of the start",
    level: "admin",
    run: async ([value], { process }) => {
      if (value === undefined || !/^-?\d+$/.test(value)) return refuse("Expects an integer value.");
      if (Number(value) < 0 || Number(value) > process.hardMaxconn)
        return refuse("Value out of range.");
      process.maxconn = Number(value) === 0 ? process.hardMaxconn : Number(value);
      await process.fleet.ask({ kind: "proceed" });
      return "";
    },
  },
];

/** Threads accept no more before the sockets stop listening, and again after they listen anew. */
async function changed(proxy: number, { process }: CommandContext): Promise<string> {
  const counters = process.source.proxies[proxy]?.counters;
  const listens = counters !== undefined && !counters.isPaused && !counters.isShutDown;
  if (listens) process.setListening(proxy, true);
  await process.fleet.ask({ kind: "frontend", proxy });
  if (!listens) process.setListening(proxy, false);
  return "";
}

function onFrontend(
  name: string | undefined,
  { process }: CommandContext,
  then: (state: ProxyState) => string | Refusal | Promise<string>,
): string | Refusal | Promise<string> {
  if (name === undefined) return refuse("A frontend name is expected.");
  const state = process.source.proxies[findProxy(process.source, name, "frontend")];
  return state === undefined ? refuse("No such frontend.") : then(state);
}
