import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { type JsonObject, type JsonValue, listOf, objectOf, objectsOf, textOf } from "../json.ts";
import { STATUS } from "./annotations.ts";
import { injectPod } from "./inject-pod.ts";
import { INIT_CONTAINER, SIDECAR_CONTAINER } from "./names.ts";
import {
  deploymentPod,
  hostNetworkPod,
  initPod,
  jobPod,
  namespace,
  type PodParts,
  pod,
  restrictedPod,
  SETTINGS,
} from "./testing/pods.ts";

const SHOP = namespace("shop");
/** Written anew with `npm test -- --update`. */
const GOLDEN = path.join(import.meta.dirname, "..", "..", "test", "injector", "golden");

function injected(given: JsonObject, place: JsonObject | null = SHOP) {
  const result = injectPod(given, place, SETTINGS);
  assert.equal(result.kind, "injected", JSON.stringify(result));
  return result.kind === "injected" ? result : assert.fail();
}

const specOf = (given: JsonObject): JsonObject => objectOf(given["spec"]);
const containersOf = (given: JsonObject, list: "containers" | "initContainers"): readonly JsonObject[] =>
  objectsOf(specOf(given)[list]);
const namesOf = (containers: readonly JsonObject[]): string[] => containers.map(({ name }) => textOf(name));

function container(given: JsonObject, name: string): JsonObject {
  const all = [...containersOf(given, "initContainers"), ...containersOf(given, "containers")];
  return all.find((one) => one["name"] === name) ?? assert.fail(`no container ${name}`);
}

/** The values of a flag among the arguments of a container. */
function flag(given: JsonObject, name: string, of = SIDECAR_CONTAINER): readonly JsonValue[] {
  const args = listOf(container(given, of)["args"]);
  return args.filter((_, i) => args[i - 1] === name);
}

function refused(parts: PodParts, place: JsonObject | null = SHOP): { reason: string; message: string } {
  const result = injectPod(pod(parts), place, SETTINGS);
  return result.kind === "refused" ? result : assert.fail(JSON.stringify(result));
}

describe("goldens", () => {
  const cases: readonly (readonly [string, JsonObject, JsonObject])[] = [
    ["deployment", deploymentPod, SHOP],
    ["job", jobPod, SHOP],
    ["init-containers", initPod, SHOP],
    ["restricted", restrictedPod, namespace("locked", { "pod-security.kubernetes.io/enforce": "restricted" })],
    ["host-network", hostNetworkPod, SHOP],
  ];
  for (const [name, given, place] of cases) {
    test(name, () => {
      const actual = stringify(injectPod(given, place, SETTINGS), { aliasDuplicateObjects: false, lineWidth: 0 });
      const golden = path.join(GOLDEN, `${name}.yaml`);
      if (process.env["UPDATE"] === "1") writeFileSync(golden, actual);
      assert.deepEqual(parse(actual), parse(readFileSync(golden, "utf8")));
    });
  }
});

describe("idempotence", () => {
  for (const [name, given] of Object.entries({ deploymentPod, jobPod, initPod, restrictedPod })) {
    test(`what was injected comes back unchanged: ${name}`, () => {
      const once = injected(given).pod;
      assert.deepEqual(injected(once).pod, once);
    });
  }

  test("a container that another webhook adds has its probes known, and its init container waits for the sidecar", () => {
    const once = injected(deploymentPod).pod;
    const spec = specOf(once);
    const more: JsonObject = {
      ...once,
      spec: {
        ...spec,
        initContainers: [{ name: "late", image: "late:1" }, ...listOf(spec["initContainers"])],
        containers: [
          ...listOf(spec["containers"]),
          { name: "added", image: "a:1", livenessProbe: { httpGet: { port: 7000, path: "/added" } } },
        ],
      },
    };
    const again = injected(more).pod;
    assert.deepEqual(flag(again, "--probe"), ["8080/live", "8080/stop", "7000/added"]);
    assert.deepEqual(namesOf(containersOf(again, "initContainers")), [INIT_CONTAINER, SIDECAR_CONTAINER, "late"]);
  });

  test("the API token that the API server mounts into every container is taken from the sidecar again", () => {
    const once = injected(deploymentPod).pod;
    const spec = specOf(once);
    const mount = { name: "kube-api-access-x7x", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" };
    const mounted = containersOf(once, "initContainers").map((one) => ({
      ...one,
      volumeMounts: [...listOf(one["volumeMounts"]), mount],
    }));
    assert.deepEqual(injected({ ...once, spec: { ...spec, initContainers: mounted } }).pod, once);
  });

  test("callers are told which ports do not come to the sidecar", () => {
    const statusOf = (annotations: Readonly<Record<string, string>>): unknown => {
      const { pod: changed } = injected(pod({ annotations }));
      const { injector, ...rest } = JSON.parse(
        textOf(objectOf(objectOf(changed["metadata"])["annotations"])[STATUS]),
      ) as JsonObject;
      assert.equal(typeof injector, "string");
      return rest;
    };
    assert.deepEqual(statusOf({}), {});
    assert.deepEqual(
      statusOf({
        "sidecar.outrigger.dev/excludeInboundPorts": "9187, 80",
        "sidecar.outrigger.dev/includeInboundPorts": "*",
      }),
      { excludeInboundPorts: [9187, 80] },
    );
    assert.deepEqual(statusOf({ "sidecar.outrigger.dev/includeInboundPorts": "8080" }), {
      includeInboundPorts: [8080],
    });
  });

  test("the sidecar of an injector with other settings stays", () => {
    const once = injected(deploymentPod).pod;
    assert.equal(injectPod(once, SHOP, { ...SETTINGS, image: "outrigger:2" }).kind, "kept");
    const broken = pod({ annotations: { [STATUS]: "not JSON" } });
    assert.equal(injectPod(broken, SHOP, SETTINGS).kind, "kept");
  });

  test("of any pod: nothing unknown is lost, nothing throws, and a second time changes nothing", () => {
    const probe = fc.option(
      fc.oneof(
        fc.record({
          httpGet: fc.record({
            port: fc.constantFrom<JsonValue>(8080, "http", "8081", "no", 0, null),
            path: fc.constantFrom("/a", "b", "/c?d=$(X)", "/e f"),
            scheme: fc.constantFrom("HTTP", "HTTPS"),
          }),
        }),
        fc.record({ tcpSocket: fc.record({ port: fc.constantFrom<JsonValue>(8080, "http") }) }),
        fc.record({ grpc: fc.record({ port: fc.constant(8080), service: fc.constantFrom("", "a/b") }) }),
        fc.jsonValue() as fc.Arbitrary<JsonValue>,
      ),
      { nil: undefined },
    );
    const one = fc.record(
      {
        name: fc.constantFrom("app", "other", "x"),
        ports: fc.constantFrom<JsonValue>(
          [{ name: "http", containerPort: 8080 }],
          [],
          [{ containerPort: 53, protocol: "UDP" }],
          "none",
        ),
        livenessProbe: probe,
        readinessProbe: probe,
        restartPolicy: fc.constantFrom("Always", "Never"),
        future: fc.jsonValue(),
      },
      { requiredKeys: ["name"] },
    );
    const pods = fc.record(
      {
        containers: fc.array(one, { minLength: 1, maxLength: 3 }),
        initContainers: fc.array(one, { maxLength: 3 }),
        future: fc.jsonValue(),
        volumes: fc.array(fc.record({ name: fc.constantFrom("a", "b") }), { maxLength: 2 }),
      },
      { requiredKeys: ["containers"] },
    );
    fc.assert(
      fc.property(pods, fc.constantFrom("redirect", "tproxy", "none"), (spec, interception) => {
        // As it comes by the wire: without what is undefined.
        const plain = JSON.parse(JSON.stringify(spec)) as JsonObject;
        const given = pod({ spec: plain, annotations: { "sidecar.outrigger.dev/interception": interception } });
        const once = injected(given).pod;
        assert.deepEqual(injected(once).pod, once);
        assert.deepEqual(specOf(once)["future"], plain["future"]);
        assert.deepEqual(namesOf(containersOf(once, "containers")), namesOf(objectsOf(plain["containers"])));
        for (const [i, one] of containersOf(once, "containers").entries()) {
          assert.deepEqual(one["future"], objectsOf(plain["containers"])[i]?.["future"]);
        }
      }),
    );
  });
});

describe("order of init containers", () => {
  test("the rules, the sidecar, then all that wait for it", () => {
    assert.deepEqual(
      namesOf(containersOf(injected(pod({ spec: { initContainers: [{ name: "migrate" }] } })).pod, "initContainers")),
      [INIT_CONTAINER, SIDECAR_CONTAINER, "migrate"],
    );
  });

  test("those that are to run before come before, with all that stood before them", () => {
    const order = namesOf(containersOf(injected(initPod).pod, "initContainers"));
    assert.deepEqual(order, ["fetch-secrets", INIT_CONTAINER, SIDECAR_CONTAINER, "migrate", "log-shipper"]);
  });

  test("of several, all", () => {
    const initContainers = ["a", "b", "c", "d"].map((name) => ({ name }));
    const annotations = { "sidecar.outrigger.dev/startAfter": "c,a" };
    const order = namesOf(containersOf(injected(pod({ spec: { initContainers }, annotations })).pod, "initContainers"));
    assert.deepEqual(order, ["a", "b", "c", INIT_CONTAINER, SIDECAR_CONTAINER, "d"]);
  });

  test("one that does not exist is a mistake", () => {
    const result = injectPod(pod({ annotations: { "sidecar.outrigger.dev/startAfter": "no" } }), SHOP, SETTINGS);
    assert.deepEqual(result, {
      kind: "invalid",
      problems: ['annotation sidecar.outrigger.dev/startAfter: there is no init container "no"'],
    });
  });
});

describe("refused", () => {
  test("host network, with what to do", () => {
    const { reason, message } = refused({ spec: { hostNetwork: true } });
    assert.equal(reason, "HostNetwork");
    assert.match(message, /inject: "false"/);
  });

  test("Windows, by os and by node selector", () => {
    for (const spec of [{ os: { name: "windows" } }, { nodeSelector: { "kubernetes.io/os": "windows" } }]) {
      assert.equal(refused({ spec: { ...spec } }).reason, "Windows");
    }
  });

  test("mirrors of static pods", () => {
    assert.equal(refused({ annotations: { "kubernetes.io/config.mirror": "x" } }).reason, "StaticPod");
  });

  test("pods with another mesh's sidecar, as a container or a native sidecar", () => {
    assert.equal(refused({ container: { name: "istio-proxy" } }).reason, "OtherMesh");
    const spec = { initContainers: [{ name: "linkerd-proxy", restartPolicy: "Always" }] };
    assert.match(refused({ spec }).message, /Linkerd/);
  });

  test("pods with parts of their own that have the injector's names", () => {
    assert.equal(refused({ container: { name: SIDECAR_CONTAINER } }).reason, "NameTaken");
    const spec = { volumes: [{ name: "outrigger-state" }] };
    assert.match(refused({ spec }).message, /outrigger-state/);
  });

  test("rules where Pod Security forbids them, with the way without rights", () => {
    for (const level of ["restricted", "baseline"]) {
      const place = namespace("locked", { "pod-security.kubernetes.io/enforce": level });
      const { reason, message } = refused({}, place);
      assert.equal(reason, "PodSecurity");
      assert.match(message, /interception: none/);
      injected(pod({ annotations: { "sidecar.outrigger.dev/interception": "none" } }), place);
    }
    injected(pod(), namespace("open", { "pod-security.kubernetes.io/enforce": "privileged" }));
  });
});

describe("interception", () => {
  test("in loopback mode no part of the pod asks for any right", () => {
    const { pod: result } = injected(restrictedPod);
    assert.deepEqual(namesOf(containersOf(result, "initContainers")), [SIDECAR_CONTAINER]);
    assert.deepEqual(container(result, SIDECAR_CONTAINER)["securityContext"], {
      capabilities: { drop: ["ALL"] },
      privileged: false,
      runAsUser: 1337,
      runAsGroup: 1337,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      seccompProfile: { type: "RuntimeDefault" },
    });
  });

  test("tproxy: the sidecar has the right that its sockets need, and its group tells its connections", () => {
    const result = injected(pod({ annotations: { "sidecar.istio.io/interceptionMode": "TPROXY" } })).pod;
    assert.deepEqual(flag(result, "--proxy-gid", INIT_CONTAINER), ["1337"]);
    assert.deepEqual(flag(result, "--inbound-mode", INIT_CONTAINER), ["tproxy"]);
    const security = objectOf(container(result, SIDECAR_CONTAINER)["securityContext"]);
    assert.deepEqual([security["runAsUser"], security["runAsGroup"]], [0, 1337]);
    assert.deepEqual(security["capabilities"], { add: ["NET_ADMIN"], drop: ["ALL"] });
  });

  test("the pod's own user and group stay: only the sidecar's are set", () => {
    const result = injected(initPod).pod;
    assert.deepEqual(specOf(result)["securityContext"], specOf(initPod)["securityContext"]);
  });

  test("all settings come to the init container", () => {
    const settings = {
      includeInboundPorts: "80,8080",
      excludeInboundPorts: "9090",
      includeInboundIPRanges: "10.0.0.0/8",
      excludeInboundIPRanges: "10.1.0.0/16",
      includeOutboundIPRanges: "*",
      excludeOutboundIPRanges: "169.254.169.254",
      includeOutboundPorts: "5432",
      excludeOutboundPorts: "",
      excludeInterfaces: "eth1,docker+",
    };
    const annotations = Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [`sidecar.outrigger.dev/${name}`, value]),
    );
    assert.deepEqual(container(injected(pod({ annotations })).pod, INIT_CONTAINER)["args"], [
      "init",
      "--proxy-uid",
      "1337",
      "--inbound-mode",
      "redirect",
      "--include-inbound-ports",
      "80,8080",
      "--exclude-inbound-ports",
      "9090",
      "--include-inbound-ip-ranges",
      "10.0.0.0/8",
      "--exclude-inbound-ip-ranges",
      "10.1.0.0/16",
      "--include-outbound-ip-ranges",
      "*",
      "--exclude-outbound-ip-ranges",
      "169.254.169.254/32",
      "--include-outbound-ports",
      "5432",
      "--exclude-outbound-ports",
      "",
      "--exclude-interfaces",
      "eth1,docker+",
    ]);
  });
});

describe("probes", () => {
  const withProbe = (probe: JsonObject, annotations: Readonly<Record<string, string>> = {}) =>
    injected(pod({ container: { livenessProbe: probe }, annotations }));
  const probeOf = (given: JsonObject) => container(given, "app")["livenessProbe"];

  test("plain HTTP stays, and the sidecar is told of it", () => {
    const probe = { httpGet: { path: "/live?x=1", port: "http" }, periodSeconds: 3 };
    const { pod: result } = withProbe(probe);
    assert.deepEqual(probeOf(result), probe);
    assert.deepEqual(flag(result, "--probe"), ["8080/live"]);
    assert.deepEqual(flag(result, "--app-health"), []);
  });

  test("exec stays, and nobody needs to know", () => {
    const probe = { exec: { command: ["true"] } };
    const { pod: result } = withProbe(probe);
    assert.deepEqual(probeOf(result), probe);
    assert.deepEqual([...flag(result, "--probe"), ...flag(result, "--app-health")], []);
  });

  for (const [kind, probe, asked] of [
    ["tcpSocket", { tcpSocket: { port: "http" } }, "tcp/8080"],
    ["grpc", { grpc: { port: 9000, service: "a/b c" } }, "grpc/9000/a%2Fb%20c"],
    ["grpc without a service", { grpc: { port: 9000 } }, "grpc/9000/"],
    ["HTTPS", { httpGet: { scheme: "HTTPS", port: 8443, path: "/x?y=1" } }, "https/8443/x?y=1"],
  ] as const) {
    test(`${kind} is asked of the sidecar, with the probe's own times`, () => {
      const { pod: result } = withProbe({ ...probe, periodSeconds: 7, failureThreshold: 2 });
      assert.deepEqual(probeOf(result), {
        periodSeconds: 7,
        failureThreshold: 2,
        httpGet: { path: `/app-health/${asked}`, port: 15_021, scheme: "HTTP" },
      });
      assert.deepEqual(flag(result, "--app-health"), [asked]);
      assert.deepEqual(flag(result, "--probe"), []);
    });
  }

  test("a probe of a port that is not intercepted stays", () => {
    const probe = { tcpSocket: { port: 8080 } };
    for (const annotations of [
      { "sidecar.outrigger.dev/excludeInboundPorts": "8080" },
      { "sidecar.outrigger.dev/includeInboundPorts": "" },
      { "sidecar.outrigger.dev/interception": "none" },
    ]) {
      assert.deepEqual(probeOf(withProbe(probe, annotations).pod), probe);
    }
  });

  test("a probe of another host stays", () => {
    const probe = { httpGet: { host: "example.com", port: 80, path: "/" } };
    const { pod: result } = withProbe(probe);
    assert.deepEqual(probeOf(result), probe);
    assert.deepEqual(flag(result, "--probe"), []);
  });

  test("excluded ones stay, by container and by kind", () => {
    const probe = { tcpSocket: { port: 8080 } };
    for (const excludeProbes of ["*", "app", "other,app/livenessProbe"]) {
      const annotations = { "sidecar.outrigger.dev/excludeProbes": excludeProbes };
      assert.deepEqual(probeOf(withProbe(probe, annotations).pod), probe, excludeProbes);
    }
    const annotations = { "sidecar.outrigger.dev/excludeProbes": "app/readinessProbe" };
    assert.notDeepEqual(probeOf(withProbe(probe, annotations).pod), probe);
  });

  test("a named port that the container does not have is told", () => {
    assert.match(withProbe({ tcpSocket: { port: "nope" } }).warnings.join(), /app\/livenessProbe: .*"nope"/);
  });

  test("a dollar sign of a path is not taken for a variable", () => {
    assert.deepEqual(flag(withProbe({ httpGet: { port: 80, path: "/$(X)" } }).pod, "--probe"), ["80/$$(X)"]);
  });
});

test("the init container has an image of its own where there is one", () => {
  const annotations = { "sidecar.outrigger.dev/proxyImage": "other:1" };
  const images = (initImage: string | null): unknown[] => {
    const result = injectPod(pod({ annotations }), SHOP, { ...SETTINGS, initImage });
    const given = result.kind === "injected" ? result.pod : assert.fail();
    return [INIT_CONTAINER, SIDECAR_CONTAINER].map((name) => container(given, name)["image"]);
  };
  assert.deepEqual(images(null), ["other:1", "other:1"]);
  assert.deepEqual(images("rules:1"), ["rules:1", "other:1"]);
});

describe("resources and threads", () => {
  const resourcesOf = (annotations: Readonly<Record<string, string>>) => {
    const own = Object.fromEntries(Object.entries(annotations).map(([k, v]) => [`sidecar.outrigger.dev/${k}`, v]));
    const result = injected(pod({ annotations: own })).pod;
    return [container(result, SIDECAR_CONTAINER)["resources"], flag(result, "--concurrency")[0]];
  };

  test("defaults: no CPU limit, and one thread", () => {
    assert.deepEqual(resourcesOf({}), [{ limits: { memory: "512Mi" }, requests: { cpu: "50m", memory: "96Mi" } }, "1"]);
  });

  test("with a CPU limit, as many threads as it allows, unless a number is given", () => {
    assert.equal(resourcesOf({ proxyCPULimit: "2" })[1], "0");
    assert.equal(resourcesOf({ proxyCPULimit: "2", concurrency: "3" })[1], "3");
  });

  test("a default yields where it would contradict what is asked for", () => {
    assert.deepEqual(resourcesOf({ proxyCPULimit: "20m", proxyMemory: "1Gi" })[0], {
      limits: { cpu: "20m", memory: "1Gi" },
      requests: { cpu: "20m", memory: "1Gi" },
    });
  });
});

describe("names", () => {
  const service = (metadata: JsonObject) => flag(injected(pod({ metadata })).pod, "--service")[0];

  test("the app's label, else the owner without its revision, else the pod's own", () => {
    const owner = (kind: string, name: string) => [{ kind, name, controller: true }];
    assert.equal(service({ labels: { app: "web", "app.kubernetes.io/name": "shop-web" } }), "shop-web");
    assert.equal(service({ labels: { app: "Web_1" } }), "web-1");
    assert.equal(
      service({ labels: { "pod-template-hash": "abc" }, ownerReferences: owner("ReplicaSet", "api-abc") }),
      "api",
    );
    assert.equal(service({ ownerReferences: owner("Job", "report-29380020") }), "report");
    assert.equal(service({ ownerReferences: owner("StatefulSet", "db") }), "db");
    assert.equal(service({ name: "", generateName: "run-" }), "run");
    assert.equal(service({ name: "" }), "workload");
  });
});

describe("warnings", () => {
  test("what will not be as expected is said", () => {
    const { warnings } = injected(
      pod({
        container: { ports: [{ containerPort: 15_001 }], securityContext: { runAsUser: 1337 } },
        annotations: { "sidecar.outrigger.dev/drainTime": "60s", "config.linkerd.io/proxy-log-level": "warn" },
        spec: { shareProcessNamespace: true },
      }),
    );
    assert.match(warnings.join("\n"), /shareProcessNamespace/);
    assert.match(warnings.join("\n"), /drain time 60 s/);
    assert.match(warnings.join("\n"), /not read.*config\.linkerd\.io\/proxy-log-level/);
  });

  test("a container with the sidecar's user, and one on a port of the sidecar's", () => {
    const { warnings } = injected(
      pod({ container: { ports: [{ containerPort: 15_001 }], securityContext: { runAsUser: 1337 } } }),
    );
    assert.match(warnings.join("\n"), /container app has runAsUser 1337/);
    assert.match(warnings.join("\n"), /port 15001 is taken/);
  });

  test("a pod without surprises has none", () => {
    assert.deepEqual(injected(pod()).warnings, []);
  });
});
