/** What the chart tells the injector is what the injector reads, and the chart's defaults are the injector's. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { DEFAULT_SETTINGS, type InjectorSettings } from "../../control-plane/injector/settings.ts";
import { parseSettings } from "../../control-plane/injector/settings-file.ts";
import type { JsonValue } from "../../control-plane/json.ts";
import { type Helm, type KubeObject, render, requireHelm } from "../support/helm.ts";
import { only } from "../support/pod-spec.ts";

function settings(helm: Helm, values: object | string): InjectorSettings {
  const objects = render(helm, "outrigger", values).filter(({ metadata }) => metadata.name.endsWith("-injector"));
  const { data } = only<KubeObject & { data: Record<string, string> }>(objects, "ConfigMap");
  const parsed = parseSettings(parse(data["settings.yaml"] ?? "") as JsonValue);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.settings;
}

test("the chart's defaults are the injector's", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const { image, ...others } = settings(helm, {});
  const { image: plain, ...defaults } = DEFAULT_SETTINGS;
  assert.deepEqual(others, defaults);
  assert.ok(image.startsWith(`${plain}:`));
});

test("every setting that the chart has a value for reaches the injector", (t) => {
  const helm = requireHelm(t);
  if (helm === null) return;
  const given = settings(helm, path.join(import.meta.dirname, "..", "golden", "charts", "everything.in.yaml"));
  const same = Object.entries(given).filter(
    ([name, value]) => value === DEFAULT_SETTINGS[name as keyof InjectorSettings],
  );
  // The key is for the control plane and its injector to agree on, nobody else.
  assert.deepEqual(same, [["rootsKey", DEFAULT_SETTINGS.rootsKey]]);
});
