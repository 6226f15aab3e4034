export { runScenario, type ScenarioOptions, type ScenarioResult } from "./scenario.ts";
export { SimHost, type SimHostOptions, type SimSeat } from "./sim-host.ts";
export { CALM, SimLan, type SimLanOptions, type Weather } from "./sim-lan.ts";
