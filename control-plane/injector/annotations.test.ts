import assert from "node:assert/strict";
import { test } from "node:test";
import { readAnnotations, SETTINGS, type SettingName } from "./annotations.ts";

const read = (pod: Record<string, string>, namespace: Record<string, string> = {}) => readAnnotations(pod, namespace);

test("annotations of Istio and Linkerd that mean the same are read", () => {
  assert.deepEqual(
    read({
      "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.0.0.0/8, fd00::/8",
      "traffic.sidecar.istio.io/excludeInboundPorts": "",
      "sidecar.istio.io/interceptionMode": "TPROXY",
      "sidecar.istio.io/logLevel": "debug",
      "config.linkerd.io/skip-outbound-ports": "25,4000-4002",
      "config.linkerd.io/proxy-memory-limit": "250Mi",
    }),
    {
      values: {
        includeOutboundIPRanges: "10.0.0.0/8,fd00::/8",
        excludeInboundPorts: "",
        interception: "tproxy",
        logLevel: "debug",
        excludeOutboundPorts: "25,4000,4001,4002",
        proxyMemoryLimit: "250Mi",
      },
      problems: [],
      warnings: [],
    },
  );
});

test("the own annotation goes before Istio's, that before Linkerd's, and the pod's before the namespace's", () => {
  const all = {
    "config.linkerd.io/proxy-cpu-request": "1",
    "sidecar.istio.io/proxyCPU": "2",
    "sidecar.outrigger.dev/proxyCPU": "3",
  };
  const { "sidecar.outrigger.dev/proxyCPU": _own, ...others } = all;
  assert.equal(read(all).values.proxyCPU, "3");
  assert.equal(read(others).values.proxyCPU, "2");
  assert.equal(read({}, all).values.proxyCPU, "3");
  assert.equal(read({ "config.linkerd.io/proxy-cpu-request": "1" }, all).values.proxyCPU, "1");
});

test("every mistake is told by name and value", () => {
  const wrong: Readonly<Record<SettingName, readonly string[]>> = {
    interception: ["", "iptables"],
    includeInboundPorts: ["http", "0", "65536", "80;81", "80-90"],
    excludeInboundPorts: ["*"],
    includeInboundIPRanges: ["10.0.0.0/33", "host"],
    excludeInboundIPRanges: ["fe80::1%eth0"],
    includeOutboundPorts: ["-1"],
    excludeOutboundPorts: ["1,,2"],
    includeOutboundIPRanges: ["10.0.0.0/8/8", "fd00::/129"],
    excludeOutboundIPRanges: ["10.0.0.0/"],
    excludeInterfaces: ["-i", "a-name-that-is-too-long"],
    proxyCPU: ["much", "-1", "1 m", "1Kib"],
    proxyCPULimit: [""],
    proxyMemory: ["1gb"],
    proxyMemoryLimit: ["."],
    concurrency: ["1.5", "257", "auto"],
    logLevel: ["loud"],
    drainTime: ["0", "soon", "1d"],
    proxyImage: ["", "a b"],
    excludeProbes: ["a b"],
    startAfter: ["$x"],
    noProxy: ["a;b"],
    port: ["0", "http"],
  };
  assert.deepEqual(Object.keys(wrong).sort(), Object.keys(SETTINGS).sort());
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const { problems } = read({ [`sidecar.outrigger.dev/${name}`]: value });
      assert.equal(problems.length, 1, `${name}: ${value}`);
      assert.match(problems[0] ?? "", new RegExp(`sidecar\\.outrigger\\.dev/${name}: `));
    }
  }
});

test("a range of ports that would be thousands of rules is refused", () => {
  assert.match(read({ "config.linkerd.io/skip-inbound-ports": "1-65535" }).problems.join(), /more than 500 ports/);
});

test("an unknown annotation of ours is a mistake, one of other meshes is said not to be read", () => {
  const { problems, warnings } = read({
    "sidecar.outrigger.dev/includeOutboundPort": "80",
    "sidecar.istio.io/inject": "true",
    "sidecar.istio.io/bootstrapOverride": "x",
    "proxy.istio.io/config": "{}",
    "example.com/other": "y",
  });
  assert.deepEqual(problems, ["annotation sidecar.outrigger.dev/includeOutboundPort is not known"]);
  assert.deepEqual(warnings, [
    "not read, because Outrigger has nothing like it: sidecar.istio.io/bootstrapOverride, proxy.istio.io/config",
  ]);
});
