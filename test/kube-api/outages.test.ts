/** The Kubernetes source while a real API server dies, comes back, and has forgotten what was. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ApiError,
  type Collection,
  type KubernetesApi,
  type ListPage,
  type ListQuery,
} from "../../control-plane/kubernetes/api.ts";
import type { HttpApi } from "../../control-plane/kubernetes/http-api.ts";
import { type KubeApiServer, sharedKubeApi } from "../support/kube-api.ts";
import { addressOf, serviceObject, sliceObject } from "../support/kube-objects.ts";
import { agrees, each, followKube, Relay } from "../support/kube-source.ts";
import { eventually } from "../support/running-workers.ts";

const kube = sharedKubeApi();
const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";

async function fill({ admin }: KubeApiServer, namespace: string, slices: number): Promise<void> {
  await admin.namespace(namespace);
  await admin.create(serviceObject(namespace, "orders"));
  const indices = Array.from({ length: slices }, (_, i) => i);
  await each(indices, (i) => admin.create(sliceObject(namespace, `s-${i}`, "orders", [addressOf(i)])));
}

async function restart(server: KubeApiServer): Promise<void> {
  await server.stopApiServer();
  await server.startApiServer();
}

for (const [how, signal] of [
  ["is killed", "SIGKILL"],
  ["stops in order", "SIGTERM"],
] as const) {
  test(`an API server that ${how} under the watches and comes back is followed on`, async (t) => {
    const server = kube(t);
    if (server === null) return;
    const namespace = signal.toLowerCase();
    await fill(server, namespace, 60);
    const followed = await followKube(t, server.httpApi());
    await agrees(followed, server.admin, namespace);
    const before = followed.content();
    await server.stopApiServer(signal);
    await eventually(async () => followed.report("EndpointSlice").phase === "waiting");
    assert.notEqual(followed.report("EndpointSlice").error, "");
    // What is known stays as it is.
    assert.equal(followed.content(), before);
    await server.startApiServer();
    await server.admin.apply(sliceObject(namespace, "s-0", "orders", ["10.9.9.9"]));
    await agrees(followed, server.admin, namespace);
    await eventually(async () => followed.report("EndpointSlice").phase === "watching");
    // At no time was there less than there is.
    for (const facts of followed.history.slice(1)) {
      const slices = [...facts].filter((fact) => fact.startsWith(`EndpointSlice/${namespace}/`));
      assert.equal(slices.length, 60);
    }
  });
}

test("a watch whose past is forgotten (410) begins with a new list, which replaces what was known as a whole", async (t) => {
  const server = kube(t);
  if (server === null) return;
  const { admin } = server;
  await fill(server, "forgotten", 120);
  const relay = await Relay.start(t, Number(server.url.port));
  const followed = await followKube(t, server.httpApi(undefined, relay.url));
  await agrees(followed, admin, "forgotten");
  const { lists } = followed.report("EndpointSlice");
  const given = followed.history.length;
  relay.close();
  // Half of them go, others come, while nobody looks.
  const indices = Array.from({ length: 60 }, (_, i) => i);
  await each(indices, (i) =>
    admin.delete({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      namespace: "forgotten",
      name: `s-${i}`,
    }),
  );
  await each(indices, (i) => admin.create(sliceObject("forgotten", `t-${i}`, "orders", [addressOf(i)])));
  // Neither etcd nor the server's cache is to know what was before.
  await server.compact();
  await restart(server);
  relay.open();
  // It has been tried ever more seldom meanwhile.
  await followed.source.rescan();
  await agrees(followed, admin, "forgotten");
  assert.equal(followed.report("EndpointSlice").lists, lists + 1);
  // Before the list was complete nothing changed.
  for (const facts of followed.history.slice(given)) {
    const slices = [...facts].filter((fact) => fact.startsWith("EndpointSlice/forgotten/"));
    assert.equal(slices.length, 120);
    assert.ok(!facts.has("EndpointSlice/forgotten/s-0 10.0.0.0"));
  }
});

test("a list whose next page is forgotten (410) is asked for again in one piece", async (t) => {
  const server = kube(t);
  if (server === null) return;
  await fill(server, "pages", 130);
  const api = server.httpApi();
  const asked: { readonly limit: number; readonly status: number }[] = [];
  let forgetting: Promise<void> | null = null;
  const watched = listing(api, async (collection, query, next) => {
    const note = (status: number): void => {
      if (collection.path === SLICES) asked.push({ limit: query.limit, status });
    };
    // Between the first page and the second.
    if (collection.path === SLICES && query.continue !== "") {
      forgetting ??= (async () => {
        await server.admin.apply(sliceObject("pages", "s-0", "orders", ["10.9.9.9"]));
        await server.compact();
        await restart(server);
      })();
      await forgetting;
    }
    return next().then(
      (page) => {
        note(200);
        return page;
      },
      (error: unknown) => {
        note(error instanceof ApiError ? error.status : 0);
        throw error;
      },
    );
  });
  const followed = await followKube(t, watched);
  await agrees(followed, server.admin, "pages");
  const expired = asked.findIndex(({ status }) => status === 410);
  assert.ok(expired > 0, JSON.stringify(asked));
  assert.deepEqual(asked.at(-1), { limit: 0, status: 200 });
  for (const facts of followed.history) assert.ok(facts.has("EndpointSlice/pages/s-129 10.0.0.129"));
});

/** The API with another way to list. */
function listing(
  api: HttpApi,
  list: (collection: Collection, query: ListQuery, next: () => Promise<ListPage>) => Promise<ListPage>,
): KubernetesApi {
  return {
    list: (collection, query, signal) => list(collection, query, () => api.list(collection, query, signal)),
    watch: (...args) => api.watch(...args),
    call: (...args) => api.call(...args),
    close: () => api.close(),
  };
}
