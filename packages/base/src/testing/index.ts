export { SimClock } from "./sim-clock.ts";
