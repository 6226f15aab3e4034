export { ReceiveBuffer } from "./receive-buffer.ts";
export { SimClock } from "./sim-clock.ts";
