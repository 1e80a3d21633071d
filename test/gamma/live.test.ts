/** Gateway API's routes in a mesh of processes: what callers get and what programs see, with mutual TLS in between. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { LiveMesh } from "../support/live-mesh.ts";

const CALL_LIMIT_MS = 10_000;
/** For what a sidecar was told to be in force. */
const SETTLE_MS = 20_000;

/** How a call looked to the program that it came to. */
interface Seen {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  /** Fields in order, names as they came. */
  readonly fields: readonly string[];
  readonly headers: IncomingHttpHeaders;
}

/** Tells what it gets; after `x-delay-ms`, where that is asked for. `came` learns of each call at once. */
function program(name: string, came: (url: string) => void = () => undefined): Server {
  return createServer(async ({ method = "", url = "", rawHeaders, headers }, response) => {
    came(url);
    const delayMs = Number(headers["x-delay-ms"] ?? 0);
    if (delayMs > 0) await wait(delayMs);
    const fields = rawHeaders.flatMap((field, index) => (index % 2 === 0 ? `${field}: ${rawHeaders[index + 1]}` : []));
    response.setHeader("x-from", name);
    response.end(JSON.stringify({ name, method, url, fields, headers } satisfies Seen));
  });
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** What holds, or soon will: what a sidecar has acknowledged is in force a moment later. */
async function holds(look: () => Promise<void>): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
      await wait(20);
    }
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface CallOptions {
  readonly method?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function call(address: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const [host = "", port = ""] = address.split(":");
  const sent = request({
    host,
    port,
    path,
    method: options.method ?? "GET",
    headers: { host: options.host ?? "stock", ...options.headers },
    signal: AbortSignal.timeout(CALL_LIMIT_MS),
  });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

async function seen(address: string, path: string, options: CallOptions = {}): Promise<Seen> {
  const { status, text } = await call(address, path, options);
  assert.equal(status, 200, text);
  return JSON.parse(text) as Seen;
}

function service(name: string, namespace: string, targetPort: number, selector: string): string {
  const ports = `[{ name: http, port: 80, targetPort: ${targetPort} }, { name: http-alt, port: 8080, targetPort: ${targetPort} }]`;
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { selector: ${selector}, ports: ${ports} }\n`;
}

function route(rules: string, { name = "r", namespace = "default", parent = "name: stock" } = {}): string {
  const spec = `{ parentRefs: [{ kind: Service, ${parent} }], rules: [${rules}] }`;
  return `---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`;
}

const GRANT = `apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: from-default, namespace: shop }
spec:
  from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default }]
  to: [{ group: "", kind: Service, name: other }]
`;

describe("Gateway API's routes between processes", { timeout: 180_000 }, () => {
  const mirrored: string[] = [];
  const servers = { v1: program("v1"), v2: program("v2", (url) => void mirrored.push(url)), other: program("other") };
  let ports = { v2: 0 };
  let mesh: LiveMesh;
  /** Addresses of the Service `stock` at its port 80, for a caller of its namespace and one of another. */
  let near = "";
  let far = "";
  let nearAlt = "";

  before(async () => {
    const [v1, v2, other] = await Promise.all([servers.v1, servers.v2, servers.other].map(listening));
    assert.ok(v1 && v2 && other);
    ports = { v2 };
    const services = [
      // The instances are at ports of their own, of which a Service names one: that of v1.
      service("stock", "default", v1, "{ app: stock }"),
      service("v1", "default", v1, "{ app: stock, version: v1 }"),
      service("v2", "default", v2, "{ app: stock, version: v2 }"),
      service("other", "shop", other, "{ app: other }"),
    ].join("");
    mesh = await LiveMesh.start({ services }, [
      { name: "near", service: "near", port: 1 },
      { name: "far", service: "far", namespace: "shop", port: 1 },
      { name: "v1", service: "stock-one", port: v1, labels: ["app=stock", "version=v1"] },
      { name: "v2", service: "stock-two", port: v2, labels: ["app=stock", "version=v2"] },
      { name: "other", service: "other", namespace: "shop", port: other },
    ]);
    near = await mesh.addressFor("near", "stock", 80);
    nearAlt = await mesh.addressFor("near", "stock", 8080);
    far = await mesh.addressFor("far", "stock", 80);
  });

  after(async () => {
    await mesh?.stop();
    for (const server of Object.values(servers)) {
      server.closeAllConnections();
      server.close();
    }
  });

  test("without a route a Service is its instances, and the called one knows who called", async () => {
    for (const [address, caller] of [
      [near, "ns/default/sa/near"],
      [far, "ns/shop/sa/far"],
    ] as const) {
      const { name, headers } = await seen(address, "/a?b=c", {
        headers: { "x-forwarded-client-cert": "By=spiffe://cluster.local/ns/a/sa/forged" },
      });
      assert.equal(name, "v1");
      const proof = String(headers["x-forwarded-client-cert"]);
      assert.ok(proof.includes(caller), proof);
      assert.ok(!proof.includes("forged"), proof);
    }
  });

  test("weights divide calls, whatever the connection", async () => {
    await mesh.apply(
      "route",
      route("{ backendRefs: [{ name: v1, port: 80, weight: 70 }, { name: v2, port: 80, weight: 30 }] }"),
    );
    await holds(async () => assert.equal((await seen(near, "/")).name, "v2"));
    const counts = { v1: 0, v2: 0, other: 0 };
    const total = 600;
    for (let index = 0; index < total; index += 20) {
      const names = await Promise.all(Array.from({ length: 20 }, async () => (await seen(near, "/")).name));
      for (const name of names) counts[name as keyof typeof counts]++;
    }
    // Five standard deviations: one run in a million is unlucky.
    assert.ok(Math.abs(counts.v1 / total - 0.7) < 0.095, JSON.stringify(counts));
    assert.equal(counts.v1 + counts.v2, total);
  });

  test("redirects say the whole place, and nothing is called", async () => {
    const redirect = (path: string, fields: string) =>
      `{ matches: [{ path: { value: ${path} } }], filters: [{ type: RequestRedirect, requestRedirect: { ${fields} } }] }`;
    const rules = [
      redirect("/scheme", "scheme: https, statusCode: 301"),
      redirect("/host", "hostname: example.org, statusCode: 307"),
      redirect("/port", "port: 8083, statusCode: 308"),
      redirect("/prefix", "path: { type: ReplacePrefixMatch, replacePrefixMatch: /new }, statusCode: 303"),
      redirect("/full", "path: { type: ReplaceFullPath, replaceFullPath: /all }"),
    ];
    await mesh.apply("route", route(rules.join(", ")));
    const cases = [
      [near, "stock", "/scheme/a?b", "301 https://stock/scheme/a?b"],
      [near, "stock", "/host/a", "307 http://example.org/host/a"],
      [nearAlt, "stock:8080", "/host/a", "307 http://example.org:8080/host/a"],
      [near, "stock", "/port", "308 http://stock:8083/port"],
      [nearAlt, "stock:8080", "/port", "308 http://stock:8083/port"],
      [near, "stock", "/prefix/a/b?c=d", "303 http://stock/new/a/b?c=d"],
      [nearAlt, "stock:8080", "/full/a", "302 http://stock:8080/all"],
    ] as const;
    await holds(async () => {
      for (const [address, host, path, expected] of cases) {
        const { status, headers } = await call(address, path, { host });
        assert.equal(`${status} ${headers.location}`, expected);
        assert.equal(headers["x-from"], undefined);
      }
    });
  });

  test("a program sees the path and host that its rule rewrote them to", async () => {
    const rule = (path: string, rewrite: string) =>
      `{ matches: [{ path: { value: ${path} } }], filters: [{ type: URLRewrite, urlRewrite: { ${rewrite} } }], backendRefs: [{ name: v2, port: 80 }] }`;
    await mesh.apply(
      "route",
      route(
        [
          rule("/prefix/one", "path: { type: ReplacePrefixMatch, replacePrefixMatch: /one }"),
          rule("/strip", "path: { type: ReplacePrefixMatch, replacePrefixMatch: / }, hostname: v2.example.org"),
          rule("/full", "path: { type: ReplaceFullPath, replaceFullPath: /one }"),
        ].join(", "),
      ),
    );
    const cases = [
      ["/prefix/one/two?q=1", "/one/two?q=1", "stock"],
      ["/prefix/one", "/one", "stock"],
      ["/strip/three", "/three", "v2.example.org"],
      ["/strip", "/", "v2.example.org"],
      ["/full/one/two?q", "/one?q", "stock"],
    ] as const;
    await holds(async () => {
      for (const [path, url, host] of cases) {
        const { name, url: got, headers } = await seen(near, path);
        assert.deepEqual([name, got, headers.host], ["v2", url, host], path);
      }
    });
    assert.equal((await call(near, "/prefix/oneandtwo")).status, 404);
  });

  test("headers are set, added and removed on the way there and back, the backend's changes last", async () => {
    const modifier = (kind: string, field: string, value: string) =>
      `{ type: ${kind}HeaderModifier, ${field}: { set: [{ name: X-Set, value: ${value} }], add: [{ name: X-Add, value: ${value} }], remove: [X-Gone] } }`;
    const request = modifier("Request", "requestHeaderModifier", "rule");
    const response =
      "{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: X-From, value: rule }] } }";
    const own = modifier("Request", "requestHeaderModifier", "backend");
    const backend = `{ name: v1, port: 80, filters: [${own}] }`;
    await mesh.apply("route", route(`{ filters: [${request}, ${response}], backendRefs: [${backend}] }`));
    const sent = { "x-set": "caller", "x-add": "caller", "x-gone": "caller", "x-kept": "caller" };
    await holds(async () => {
      const { headers, text } = await call(near, "/", { headers: sent });
      assert.equal(headers["x-from"], "rule");
      const { headers: got } = JSON.parse(text) as Seen;
      assert.deepEqual(
        [got["x-set"], got["x-add"], got["x-gone"], got["x-kept"]],
        ["backend", "caller, rule, backend", undefined, "caller"],
      );
    });
  });

  test("matches by method, query and header lead where they should", async () => {
    const to = (name: string, match: string) => `{ matches: [${match}], backendRefs: [{ name: ${name}, port: 80 }] }`;
    await mesh.apply(
      "route",
      route(
        [
          to("v2", "{ method: POST }"),
          to("v2", "{ queryParams: [{ name: animal, value: dolphin }] }"),
          to("v2", "{ headers: [{ name: version, value: two }] }"),
          to("v1", "{ path: { value: / } }"),
        ].join(", "),
      ),
    );
    const cases = [
      ["/", {}, "v1"],
      ["/", { method: "POST" }, "v2"],
      ["/a?x=1&animal=dolphin", {}, "v2"],
      ["/a?animal=dolphins", {}, "v1"],
      ["/", { headers: { Version: "two" } }, "v2"],
    ] as const;
    await holds(async () => {
      for (const [path, options, expected] of cases) {
        assert.equal((await seen(near, path, options)).name, expected, path);
      }
    });
  });

  test("a mirror sees the call, and the caller gets the backend's answer", async () => {
    const mirror = "{ type: RequestMirror, requestMirror: { backendRef: { name: v2, port: 80 } } }";
    await mesh.apply("route", route(`{ filters: [${mirror}], backendRefs: [{ name: v1, port: 80 }] }`));
    await holds(async () => {
      assert.equal((await seen(near, "/mirrored?a=b")).name, "v1");
      assert.ok(mirrored.includes("/mirrored?a=b"));
    });
  });

  test("a rule's time limits cut answers that take longer, and no others", async () => {
    const rule = (path: string, timeouts: string) =>
      `{ matches: [{ path: { value: ${path} } }], timeouts: { ${timeouts} }, backendRefs: [{ name: v1, port: 80 }] }`;
    const rules = [
      rule("/request", "request: 500ms"),
      rule("/backend", "backendRequest: 500ms"),
      rule("/none", "request: 0s"),
    ];
    await mesh.apply("route", route(rules.join(", ")));
    const slow = { headers: { "x-delay-ms": "3000" } };
    const cases = [
      ["/request", slow, 504],
      ["/backend", slow, 504],
      ["/none", slow, 200],
      ["/request", {}, 200],
    ] as const;
    await holds(async () => {
      for (const [path, options, expected] of cases) {
        assert.equal((await call(near, path, options)).status, expected, `${path} ${JSON.stringify(options)}`);
      }
    });
  });

  test("a route for one port leaves the other alone", async () => {
    await mesh.apply(
      "route",
      route("{ backendRefs: [{ name: v2, port: 80 }] }", { parent: "name: stock, port: 8080" }),
    );
    await holds(async () => {
      assert.equal((await seen(nearAlt, "/")).name, "v2");
      assert.equal((await seen(near, "/")).name, "v1");
    });
  });

  test("a consumer's route changes the calls of its own namespace alone", async () => {
    await mesh.apply("route", route("{ backendRefs: [{ name: v2, port: 80 }] }"));
    await mesh.apply(
      "consumer",
      route(
        "{ filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: X-Consumer, value: shop }] } }], backendRefs: [{ name: stock, namespace: default, port: 80 }] }",
        { name: "consumer", namespace: "shop", parent: "name: stock, namespace: default" },
      ),
    );
    await holds(async () => {
      const [own, others] = [await call(far, "/"), await call(near, "/")];
      assert.deepEqual([own.headers["x-consumer"], own.headers["x-from"]], ["shop", "v1"]);
      assert.deepEqual([others.headers["x-consumer"], others.headers["x-from"]], [undefined, "v2"]);
    });
    await mesh.apply("consumer", null);
    await holds(async () => assert.equal((await call(far, "/")).headers["x-from"], "v2"));
  });

  test("no call fails while routes, and Services that they lead to, come and go", async () => {
    await mesh.apply("route", route("{ backendRefs: [{ name: v1, port: 80 }] }"));
    await holds(async () => assert.equal((await seen(near, "/")).name, "v1"));
    const outcomes = new Map<string, number>();
    let changing = true;
    const callers = Array.from({ length: 4 }, async () => {
      while (changing) {
        const outcome = await call(near, "/").then(
          ({ status, headers, text }) => (status === 200 ? String(headers["x-from"]) : `${status} ${text}`),
          String,
        );
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        await wait(2);
      }
    });
    for (let change = 0; change < 8; change++) {
      const name = `new-${change}`;
      const added = service(name, "default", ports.v2, "{ app: stock, version: v2 }");
      await mesh.apply("route", `${added}${route(`{ backendRefs: [{ name: ${name}, port: 80 }] }`)}`);
      await mesh.apply("route", route("{ backendRefs: [{ name: v1, port: 80 }, { name: v2, port: 80 }] }"));
    }
    changing = false;
    await Promise.all(callers);
    assert.deepEqual([...outcomes.keys()].sort(), ["v1", "v2"], JSON.stringify([...outcomes]));
  });

  test("a backend of another namespace is called as long as a ReferenceGrant permits it", async () => {
    await mesh.apply("route", route("{ backendRefs: [{ name: other, namespace: shop, port: 80 }] }"));
    await holds(async () => assert.equal((await call(near, "/")).status, 500));
    await mesh.apply("grant", GRANT);
    await holds(async () => assert.equal((await seen(near, "/")).name, "other"));
    await mesh.apply("grant", null);
    await holds(async () => assert.equal((await call(near, "/")).status, 500));
  });
});
