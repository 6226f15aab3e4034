import assert from "node:assert/strict";
import { test } from "node:test";
import { type IpAddress, ip, milliseconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import type { InterfaceRef, VrrpSocketOptions } from "@ha/linux";
import { MemoryLan } from "@ha/linux/testing";
import { encodeAdvert } from "../core/advert.ts";
import type { IncomingPacket } from "../core/ports.ts";
import { PLAIN_ROUTER } from "../core/testing/router-rig.ts";
import { Dispatch, type Endpoint } from "./dispatch.ts";
import { Log } from "./log.ts";
import { LogLimiter } from "./log-limiter.ts";

const GROUP = ip("224.0.0.18");
const HERE = ip("192.0.2.1");
const THERE = ip("192.0.2.2");

function rig({ logUnknown = false } = {}) {
  const lan = new MemoryLan(new SimClock());
  const here = lan.plug({ name: "eth0", index: 2 }, [HERE]);
  const there = lan.plug({ name: "eth0", index: 9 }, [THERE]);
  const opened: VrrpSocketOptions[] = [];
  const lines: string[] = [];
  const state: { device: InterfaceRef | undefined } = { device: here.interface };
  const dispatch = new Dispatch({
    transport: {
      open: (options) => {
        opened.push(options);
        return here.transport.open(options);
      },
    },
    openEchoListener: undefined,
    findInterface: () => state.device,
    log: new Log([], false),
    limiter: new LogLimiter(new SimClock(), (line) => lines.push(line)),
    useFilter: false,
    logUnknown,
  });
  const peer = there.transport.open({
    family: 4,
    interface: there.interface,
    groups: [GROUP],
    onPacket: ({ source, payload }) => heardThere.push([payload[1] ?? 0, source]),
    onError: () => undefined,
  });
  const heardThere: [number, IpAddress][] = [];
  const endpoint = (vrid: number, heard: IncomingPacket[]): Endpoint => ({
    vrid,
    family: 4,
    device: "eth0",
    groups: [GROUP],
    authenticationHeader: false,
    receiveBufferBytes: undefined,
    filter: () => undefined,
    source: () => HERE,
    receive: (packet) => heard.push(packet),
    rejected: () => undefined,
  });
  const advert = (vrid: number): Uint8Array =>
    encodeAdvert(
      {
        vrid,
        priority: 100,
        interval: milliseconds(1000),
        addresses: [ip("192.0.2.100")],
        authType: 0,
        authData: new Uint8Array(8),
      },
      PLAIN_ROUTER,
      { from: THERE, to: GROUP },
    );
  const say = (vrid: number) => peer.send(advert(vrid), { source: THERE, destination: GROUP });
  return { dispatch, endpoint, say, opened, lines, state, here, heardThere, advert };
}

test("routers of one interface and family share a socket, and each hears its own", () => {
  const { dispatch, endpoint, say, opened } = rig();
  const [first, second]: [IncomingPacket[], IncomingPacket[]] = [[], []];
  dispatch.add(endpoint(51, first));
  dispatch.add(endpoint(52, second));
  for (const vrid of [51, 52, 53, 51]) say(vrid);
  dispatch.drain();
  assert.equal(opened.length, 1);
  assert.deepEqual([first.length, second.length], [2, 1]);
  dispatch.close();
});

test("an interface that is missing is opened when it comes, and anew when it is another one", () => {
  const { dispatch, endpoint, say, opened, state, here } = rig();
  const heard: IncomingPacket[] = [];
  state.device = undefined;
  const one = endpoint(51, heard);
  dispatch.add(one);
  assert.equal(dispatch.isOpen(one), false);
  state.device = here.interface;
  dispatch.refresh();
  assert.equal(dispatch.isOpen(one), true);
  say(51);
  dispatch.drain();
  state.device = { ...here.interface, index: 7 };
  dispatch.refresh();
  say(51);
  dispatch.drain();
  assert.equal(heard.length, 2);
  assert.equal(opened.length, 1);
  state.device = undefined;
  dispatch.refresh();
  assert.equal(dispatch.isOpen(one), false);
  dispatch.close();
});

test("an advert for nobody is told once where log_unknown_vrids wants it", () => {
  const { dispatch, endpoint, say, lines } = rig({ logUnknown: true });
  dispatch.add(endpoint(51, []));
  for (let i = 0; i < 9; i++) say(77);
  dispatch.drain();
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? "", /eth0: advert for VRID 77, which is not ours/);
  dispatch.close();
});

test("what is sent goes out by the interface, and a rehearsal sends nothing", async () => {
  const { dispatch, endpoint, heardThere, advert } = rig();
  const one = endpoint(51, []);
  dispatch.add(one);
  dispatch.rehearse();
  dispatch.send(one, {
    kind: "regular",
    protocol: 112,
    from: HERE,
    to: GROUP,
    ttl: 255,
    identification: undefined,
    bytes: advert(51),
  });
  await new Promise(setImmediate);
  assert.deepEqual(heardThere, [[51, HERE]]);
  dispatch.close();
});
