/** What the injector writes into a pod is what the commands take: the arguments of its containers are parsed by them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { addInitCommand } from "../cli/init-command.ts";
import { addSidecarCommand, type SidecarFlags } from "../cli/sidecar-command.ts";
import { injectPod } from "../control-plane/injector/inject-pod.ts";
import {
  deploymentPod,
  initPod,
  jobPod,
  pod,
  restrictedPod,
  SETTINGS,
} from "../control-plane/injector/testing/pods.ts";
import { type JsonObject, listOf, objectOf, objectsOf } from "../control-plane/json.ts";

/** As the kubelet does it: variables of the container, and `$$`. */
const VARIABLES: Readonly<Record<string, string>> = {
  POD_NAME: "orders-0",
  POD_NAMESPACE: "shop",
  POD_SERVICE_ACCOUNT: "orders",
  POD_IPS: "10.0.0.7,fd00::7",
};
const expanded = (text: string): string =>
  text.replaceAll(/\$\$|\$\((\w+)\)/g, (whole, name?: string) =>
    name === undefined ? "$" : (VARIABLES[name] ?? whole),
  );

function argumentsOf(given: JsonObject, container: string): string[] | null {
  const result = injectPod(given, null, SETTINGS);
  const spec = objectOf(result.kind === "injected" ? result.pod["spec"] : assert.fail(JSON.stringify(result)));
  const found = objectsOf(spec["initContainers"]).find(({ name }) => name === container);
  return found === undefined ? null : listOf(found["args"]).map((arg) => expanded(String(arg)));
}

async function parsed<T>(args: readonly string[]): Promise<T> {
  const program = new Command().exitOverride();
  addInitCommand(program);
  addSidecarCommand(program);
  let flags: T | undefined;
  for (const command of program.commands)
    command.exitOverride().action(() => void (flags = command.opts<object>() as T));
  await program.parseAsync([...args], { from: "user" });
  return flags ?? assert.fail("no command was called");
}

const everything = pod({
  annotations: Object.fromEntries(
    Object.entries({
      includeInboundPorts: "*",
      excludeInboundPorts: "",
      includeInboundIPRanges: "10.0.0.0/8,fd00::/8",
      excludeInboundIPRanges: "10.1.0.1",
      includeOutboundPorts: "5432",
      excludeOutboundPorts: "25,26",
      includeOutboundIPRanges: "*",
      excludeOutboundIPRanges: "169.254.0.0/16",
      excludeInterfaces: "eth1,docker+",
      drainTime: "1m",
      concurrency: "2",
      logLevel: "debug",
    }).map(([name, value]) => [`sidecar.outrigger.dev/${name}`, value]),
  ),
  container: {
    livenessProbe: { httpGet: { port: 8080, path: "/$(POD_NAME)/$$x" } },
    readinessProbe: { grpc: { port: 9000, service: "a b/$c" } },
    startupProbe: { tcpSocket: { port: 8080 } },
  },
});

for (const [name, given] of Object.entries({ deploymentPod, jobPod, initPod, restrictedPod, everything })) {
  test(`the sidecar takes its arguments: ${name}`, async () => {
    const flags = await parsed<SidecarFlags>(argumentsOf(given, "outrigger-proxy") ?? assert.fail());
    assert.deepEqual(
      [flags.pod, flags.namespace, flags.serviceAccount, flags.address],
      ["orders-0", "shop", "orders", ["10.0.0.7", "fd00::7"]],
    );
    assert.equal(flags.tokenFile, "/var/run/outrigger/identity/token");
  });

  test(`the init container takes its arguments: ${name}`, async () => {
    const args = argumentsOf(given, "outrigger-init");
    if (args === null) assert.equal(given, restrictedPod);
    else assert.equal((await parsed<{ inboundMode: string }>(args)).inboundMode, "redirect");
  });
}

test("values come as they were written", async () => {
  const flags = await parsed<SidecarFlags>(argumentsOf(everything, "outrigger-proxy") ?? assert.fail());
  assert.deepEqual(flags.probe, [{ port: 8080, path: "/$(POD_NAME)/$$x" }]);
  assert.deepEqual(flags.appHealth, ["tcp/8080", "grpc/9000/a%20b%2F%24c"]);
  assert.deepEqual([flags.drainTimeS, flags.concurrency, flags.logLevel], [60, 2, "debug"]);
  const tproxy = { ...everything, metadata: { annotations: { "sidecar.outrigger.dev/interception": "tproxy" } } };
  assert.equal(
    (await parsed<{ inboundMode: string }>(argumentsOf(tproxy, "outrigger-init") ?? [])).inboundMode,
    "tproxy",
  );
});
