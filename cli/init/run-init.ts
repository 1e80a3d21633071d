/** What `outrigger init` does with its flags, and says about it. */
import path from "node:path";
import { UserError } from "../../core/errors.ts";
import type { InitFlags } from "../init-command.ts";
import { apply, printPlan, remove } from "./carry-out.ts";
import { familiesHere, findIptables, rightsNeeded } from "./iptables.ts";
import { type Machine, planCleanup, planInterception } from "./plan.ts";
import { type Family, interceptionOf } from "./settings.ts";
import { machine as here, missingRights, type System } from "./system.ts";

/** Throws a UserError; then nothing was changed, unless the message says otherwise. */
export function runInit(flags: InitFlags, system: System = here, platform: string = process.platform): void {
  if (platform !== "linux") throw new UserError(`connections are intercepted by Linux's iptables: this is ${platform}`);
  checkProgram(flags.iptables);
  const settings = interceptionOf(flags);
  const missing = missingRights(system);
  const readable = missing.length === 0;
  if (!readable && flags.dryRun !== true) throw new UserError(rightsNeeded(`without ${missing.join(" and ")}`));
  const program = readable ? findIptables(system, flags.iptables) : (flags.iptables ?? "iptables");
  const machine: Machine = { system, program, readable };
  const { families, note } = flags.ipv6 ? familiesHere(system) : { families: [4] as readonly Family[] };
  const plan = flags.cleanup === true ? planCleanup(machine) : planInterception(machine, settings, families);

  if (flags.dryRun === true) {
    if (!readable) say("what is in force can't be read without rights; taken to be nothing");
    process.stdout.write(printPlan(plan));
    return;
  }
  // A signal ends the command that is under way, which is then taken back; it must not end this process in between.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  if (flags.cleanup === true) {
    const cut = remove(system, plan, flags.drainTimeS * 1000);
    if (cut > 0) say(`${cut} intercepted connections were still open and are cut`);
    process.stdout.write(plan.length === 0 ? "nothing is intercepted\n" : "interception is removed\n");
    return;
  }
  if (note !== undefined) say(note);
  apply(system, plan);
  const ways = `outbound by port ${settings.outboundPort}, inbound by port ${settings.inboundPort}`;
  const names = families.map((family) => `IPv${family}`).join(" and ");
  process.stdout.write(`${names} connections are intercepted: ${ways} (${settings.inboundMode})\n`);
}

function checkProgram(named: string | undefined): void {
  if (named === undefined || path.basename(named).startsWith("iptables")) return;
  throw new UserError(`--iptables "${named}": the program's name must begin with iptables`, 2);
}

function say(note: string): void {
  process.stderr.write(`outrigger: ${note}\n`);
}
