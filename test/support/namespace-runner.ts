/** Runs a program with a daemon in a namespace, until the program or the namespace's holder ends; says who holds it. */
import { Namespace } from "../../cli/run/namespace.ts";

const namespace = await Namespace.make();
const child = namespace.start("sh", ["-c", "setsid sleep 1000 & sleep 1000"], process.env, null);
process.stdout.write(`${/\d+/.exec(namespace.path)?.[0]}\n`);
void namespace.lost.then(() => child.kill("SIGKILL"));
child.once("exit", () => void namespace.close());
