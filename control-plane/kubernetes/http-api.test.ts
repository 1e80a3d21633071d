import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { ApiError, type Collection, type WatchEvent } from "./api.ts";
import { HttpApi } from "./http-api.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

const never = new AbortController().signal;
const pods: Collection = { path: "/api/v1/pods", metadataOnly: false };
const nodes: Collection = { path: "/api/v1/nodes", metadataOnly: true };

async function open(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  times: { readonly silenceMs?: number; readonly watchSilenceMs?: number } = {},
): Promise<HttpApi> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const api = new HttpApi({
    connection: {
      server: new URL(`http://127.0.0.1:${port}/prefix/`),
      credentials: async () => ({ headers: { authorization: "Bearer t" } }),
    },
    userAgent: "outrigger/1",
    ...times,
  });
  cleanups.push(
    () => server.close(),
    () => server.closeAllConnections(),
    () => api.close(),
  );
  return api;
}

async function events(api: HttpApi): Promise<{ readonly got: readonly WatchEvent[]; readonly error: unknown }> {
  const got: WatchEvent[] = [];
  try {
    for await (const event of api.watch(pods, { resourceVersion: "5", timeoutSeconds: 300 }, never)) {
      got.push(event);
    }
    return { got, error: null };
  } catch (error) {
    return { got, error };
  }
}

const event = (version: string, type = "MODIFIED") => ({
  type,
  object: { metadata: { name: "a", resourceVersion: version } },
});

test("a page is asked for as Kubernetes wants it", async () => {
  const asked: (string | undefined)[] = [];
  const api = await open((request, response) => {
    asked.push(request.url, request.headers.authorization, request.headers.accept, request.headers["user-agent"]);
    response.end(JSON.stringify({ metadata: { resourceVersion: "9", continue: "next" }, items: [{ a: 1 }] }));
  });
  const page = await api.list(pods, { limit: 100, continue: "a b" }, never);
  assert.deepEqual(page, { items: [{ a: 1 }], resourceVersion: "9", continue: "next" });
  await api.list(nodes, { limit: 0, continue: "" }, never);
  assert.deepEqual(asked, [
    "/prefix/api/v1/pods?limit=100&continue=a+b",
    "Bearer t",
    "application/json",
    "outrigger/1",
    "/prefix/api/v1/nodes",
    "Bearer t",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    "outrigger/1",
  ]);
});

test("a watch is asked for with bookmarks, and its events come as they are sent", async () => {
  let asked = "";
  const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "8" } } };
  const text = [event("6", "ADDED"), event("7", "DELETED"), bookmark].map((one) => `${JSON.stringify(one)}\n`).join("");
  const api = await open((request, response) => {
    asked = request.url ?? "";
    response.write(text.slice(0, 40));
    setImmediate(() => response.end(text.slice(40)));
  });
  const { got, error } = await events(api);
  assert.equal(error, null);
  assert.deepEqual(
    got.map(({ type }) => type),
    ["ADDED", "DELETED", "BOOKMARK"],
  );
  assert.deepEqual(Object.fromEntries(new URL(asked, "http://a").searchParams), {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion: "5",
    timeoutSeconds: "300",
  });
});

test("refusals keep their status, their reason and the time that is asked for", async () => {
  const status = { kind: "Status", code: 410, reason: "Expired", message: "too old" };
  const answers: readonly (readonly [number, string, Record<string, string>])[] = [
    [410, JSON.stringify(status), {}],
    [429, "{}", { "retry-after": "7" }],
    [503, "<html>not here</html>", {}],
    [200, JSON.stringify({ kind: "Status" }), {}],
    [200, '{"metadata":{"resourceVersion":"1"},"items":[1]}', {}],
    [200, '{"metadata":{"resour', {}],
  ];
  let next = 0;
  const api = await open((_, response) => {
    const [code, body, headers] = answers[next++] ?? [500, "", {}];
    response.writeHead(code, headers).end(body);
  });
  const seen: unknown[] = [];
  for (let index = 0; index < answers.length; index++) {
    await api.list(pods, { limit: 1, continue: "" }, never).catch((error: ApiError) => {
      assert.ok(error instanceof ApiError);
      seen.push([error.status, error.reason, error.retryAfterMs]);
    });
  }
  assert.deepEqual(seen, [
    [410, "Expired", 0],
    [429, "", 7000],
    [503, "", 0],
    [0, "", 0],
    [0, "", 0],
    [0, "", 0],
  ]);
});

test("what comes before a watch breaks is not lost, and why it broke is told", async () => {
  const good = `${JSON.stringify(event("6"))}\n`;
  const gone = `${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, message: "too old" } })}\n`;
  const cases: readonly (readonly [string, number | null])[] = [
    [gone, 410],
    ["no JSON\n", 0],
    ["[]\n", 0],
    ['{"type":"MODIFIED","object":{"metadata":{}}}\n', 0],
    ['{"type":"WHAT","object":{"metadata":{"resourceVersion":"7"}}}\n', 0],
    ['{"type":"MODIFIED","obj', null],
  ];
  for (const [bad, status] of cases) {
    const api = await open((_, response) => {
      response.write(good + bad);
      if (status === null) setImmediate(() => response.destroy());
    });
    const { got, error } = await events(api);
    assert.equal(got.length, 1, bad);
    assert.ok(error instanceof Error, bad);
    assert.equal(error instanceof ApiError ? error.status : null, status, bad);
  }
});

test("a server that falls silent is left, before its answer and within it", async () => {
  let answers = 0;
  const silent = await open(
    (_, response) => void (answers++ === 0 && response.end('{"metadata":{"resourceVersion":"1"},"items":[]}')),
    { silenceMs: 30 },
  );
  // The second one on a connection that was used before.
  await silent.list(pods, { limit: 1, continue: "" }, never);
  await assert.rejects(silent.list(pods, { limit: 1, continue: "" }, never), /silent for 30 ms/);
  const stuck = await open((_, response) => void response.write(`${JSON.stringify(event("6"))}\n`), {
    watchSilenceMs: 30,
  });
  const { got, error } = await events(stuck);
  assert.equal(got.length, 1);
  assert.ok(error instanceof Error);
});

test("a call that is given up ends its request", async () => {
  let closed = (): void => {};
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const abort = new AbortController();
  const api = await open((request) => {
    request.on("close", closed);
    abort.abort();
  });
  await assert.rejects(api.list(pods, { limit: 1, continue: "" }, abort.signal));
  await gone;
});

test("other calls carry a body and give the answer", async () => {
  const seen: unknown[] = [];
  const api = await open((request, response) => {
    let text = "";
    request.on("data", (chunk) => void (text += chunk));
    request.on("end", () => {
      seen.push(request.method, request.headers["content-type"], JSON.parse(text));
      response.end('{"ok":true}');
    });
  });
  const call = { method: "PATCH", path: "/x", body: { a: 1 }, contentType: "application/merge-patch+json" } as const;
  assert.deepEqual(await api.call(call, never), { ok: true });
  assert.deepEqual(seen, ["PATCH", "application/merge-patch+json", { a: 1 }]);
});
