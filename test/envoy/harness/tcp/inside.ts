/** The process in an intercepted area's namespace: `inside.ts AREA SIDE ENVOY NAMES` prints what was observed as JSON. */
import { areas } from "../../cases/all.ts";
import type { Side } from "../proxy.ts";
import { prepareNamespace } from "./interception.ts";
import { runTcpArea } from "./run-area.ts";

const [areaName, side, envoy = "", names = "[]"] = process.argv.slice(2);
const area = areas.find(({ name }) => name === areaName);
if (area?.kind !== "tcp") throw new Error(`no area "${areaName}" of opaque bytes`);
const chosen = new Set(JSON.parse(names) as string[]);
prepareNamespace();
const observed = await runTcpArea(area, side as Side, envoy, ({ name }) => chosen.has(name));
process.stdout.write(JSON.stringify([...observed]), () => process.exit());
