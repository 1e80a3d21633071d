import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonValue } from "../json.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { parseSettings } from "./settings-file.ts";

test("what is not said has its default", () => {
  assert.deepEqual(parseSettings({}), { ok: true, settings: DEFAULT_SETTINGS });
  assert.deepEqual(
    parseSettings({
      image: "a:1",
      initImage: "b:1",
      concurrency: "2",
      resources: { cpuLimit: 1, memoryLimit: null },
      ignoredNamespaces: [],
    }),
    {
      ok: true,
      settings: {
        ...DEFAULT_SETTINGS,
        image: "a:1",
        initImage: "b:1",
        concurrency: 2,
        resources: { cpuRequest: "50m", cpuLimit: "1", memoryRequest: "96Mi", memoryLimit: null },
        ignoredNamespaces: [],
      },
    },
  );
});

test("the defaults themselves are good settings", () => {
  assert.deepEqual(parseSettings(structuredClone(DEFAULT_SETTINGS) as unknown as JsonValue), {
    ok: true,
    settings: DEFAULT_SETTINGS,
  });
});

test("all mistakes are told, each by its path", () => {
  const result = parseSettings({
    image: "",
    imagePullPolicy: "always",
    controlPlane: "nowhere",
    tokenLifetimeS: 60,
    resources: { cpu: "1", memoryLimit: "lots" },
    ignoredNamespaces: "kube-system",
    proxyImage: "x",
    logLevel: {},
  });
  assert.deepEqual(result.ok ? [] : result.problems.map(({ path }) => path), [
    "image",
    "imagePullPolicy",
    "controlPlane",
    "tokenLifetimeS",
    "resources.cpu",
    "resources.memoryLimit",
    "ignoredNamespaces",
    "proxyImage",
    "logLevel",
  ]);
  assert.equal(parseSettings([]).ok, false);
});
