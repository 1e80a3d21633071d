/** `layered_runtime`: values that override the defaults of runtime-tunable fields. Static layers only. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { LayeredRuntime } from "../generated/envoy/config/bootstrap/v3/bootstrap_pb.js";
import type { Place } from "./place.ts";

/** Feature switches and limits of Envoy itself: nothing here to switch. */
const ENVOYS_OWN = /^(?:envoy\.(?:reloadable_features|restart_features|features)\.|overload\.|re2\.)/;

/** Puts the layers' values where `runtimeFractionOf` and its like find them; later layers win. */
export function decodeRuntime(message: LayeredRuntime, at: Place): void {
  const names = new Set<string>();
  message.layers.forEach((layer, i) => {
    const place = at.item("layers", i);
    if (layer.name === "") place.field("name").error("is required");
    if (names.has(layer.name)) place.field("name").error("there is another layer of this name");
    names.add(layer.name);
    switch (layer.layerSpecifier.case) {
      case "staticLayer":
        addValues(layer.layerSpecifier.value, "", place.field("static_layer"));
        break;
      case "adminLayer":
        place.field("admin_layer").note("ignored: runtime values cannot be changed while running");
        break;
      default:
        place.error("one of static_layer, admin_layer is required");
    }
  });
}

/** Nested objects are another way to write dots: `{ a: { b: 1 } }` is `a.b`. */
function addValues(json: JsonObject, prefix: string, at: Place): void {
  for (const [name, value] of Object.entries(json)) {
    const key = prefix + name;
    if (ENVOYS_OWN.test(`${key}.`)) at.field(name).note("ignored: switches a feature of Envoy itself");
    else if (isNested(value)) addValues(value, `${key}.`, at.field(name));
    else at.findings.runtime.set(key, value);
  }
}

/** A fractional percent is a value, written as an object. */
function isNested(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !("numerator" in value);
}
