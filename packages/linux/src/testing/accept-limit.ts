import { closeSync, openSync } from "node:fs";
import { ip } from "@ha/base";
import { type Executor, openRing, type RingOwner } from "../ring.ts";
import { EMFILE, OP_ACCEPT } from "../ring-abi.ts";
import { encodeSocketAddress } from "../socket-address.ts";
import { listenStream, openStream, socketName, socketNameRoom } from "../stream-socket.ts";

// Run under a low limit of open files: clients take every descriptor, then ten of them are closed. Prints what the
// listener saw as JSON.
const executor = process.argv[2] as Executor;
const ring = openRing({ executor, smallCount: 64, smallLent: 8, largeCount: 4 });
const room = socketNameRoom();
const listening = listenStream({
  address: { kind: "inet", address: ip("127.0.0.1"), port: 0 },
  backlog: 128,
});
if (typeof listening !== "number") throw new Error(listening.operation);
socketName(listening, false, room);
const address = encodeSocketAddress({
  kind: "inet",
  address: ip("127.0.0.1"),
  port: ((room[2] as number) << 8) | (room[3] as number),
});
ring.bytes.set(address, ring.spareOffset);

// Whatever Node itself has open: leave 30 descriptors to the test.
const fillers: number[] = [];
for (;;) {
  try {
    fillers.push(openSync("/dev/null", "r"));
  } catch {
    break;
  }
}
for (const fd of fillers.splice(0, 30)) closeSync(fd);

let emfile = 0;
let accepted = 0;
const owner: RingOwner = {
  complete(op, result, _buffer, more) {
    if (op !== OP_ACCEPT) return;
    if (result >= 0) accepted++;
    if (result === EMFILE) emfile++;
    if (more) return;
    if (result === EMFILE) ring.acceptAfterClose(slot, listening);
    else ring.accept(slot, listening);
  },
};
const slot = ring.attach(owner);
const clients: number[] = [];
for (let fd = openStream(2); fd >= 0; fd = openStream(2)) {
  ring.connect(slot, fd, ring.spareOffset, address.length);
  clients.push(fd);
}
ring.step(1);
ring.accept(slot, listening);
for (let i = 0; i < 100; i++) ring.step(1);
const beforeClose = { emfile, accepted };
for (const fd of clients.splice(0, 10)) ring.close(slot, fd);
for (let i = 0; i < 100; i++) ring.step(1);
console.log(JSON.stringify({ beforeClose, afterClose: { emfile, accepted } }));
