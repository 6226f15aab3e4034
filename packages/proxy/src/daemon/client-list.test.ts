import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { ClientList } from "./client-list.ts";
import type { ClientEnd } from "./data-plane.ts";

// A client, as far as the list looks at one.
const client = (): ClientEnd => ({ place: -1 }) as unknown as ClientEnd;

test("a list of clients holds what a Set would, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7))), (steps) => {
      const clients = Array.from({ length: 8 }, client);
      const list = new ClientList();
      const model = new Set<ClientEnd>();
      for (const [adds, number] of steps) {
        const one = clients[number] as ClientEnd;
        if (adds && model.has(one)) continue;
        if (adds) list.add(one);
        else list.delete(one);
        if (adds) model.add(one);
        else model.delete(one);
        assert.equal(list.size, model.size);
        assert.deepEqual(new Set(list), model);
        for (const each of clients) assert.equal(list.has(each), model.has(each));
      }
    }),
  );
});
