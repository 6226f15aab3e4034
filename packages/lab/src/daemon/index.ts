export { BadDrills, readDrills } from "./drill-files.ts";
export { NetnsDriver } from "./netns-driver.ts";
export { runDrills } from "./run-drills.ts";
