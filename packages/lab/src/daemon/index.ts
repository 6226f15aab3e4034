export { BadDrills, readDrills } from "./drill-files.ts";
export { type HttpProbe, startHttpProbe } from "./http-probe.ts";
export { NetnsDriver } from "./netns-driver.ts";
export { runDrills } from "./run-drills.ts";
export { startWebServer } from "./start-web-server.ts";
