/** Custom tags of spans (`envoy.type.tracing.v3.CustomTag`), compiled when configuration arrives. */
import type { CustomTag } from "../../model/http.ts";
import type { RequestView } from "../stream-info.ts";
import type { Attributes } from "./span.ts";

/** Adds its tag to `attributes`, unless there is nothing to say: Envoy leaves out empty tags. */
export type TagReader = (request: RequestView, attributes: Attributes) => void;

export function compileCustomTags(tags: readonly CustomTag[]): TagReader[] {
  return tags.map(({ tag, source }) => {
    if (source.kind === "request_header") {
      const name = source.name.toLowerCase();
      return (request, attributes) => {
        const value = request.headers.get(name) ?? source.defaultValue;
        if (value !== "") attributes[tag] = value;
      };
    }
    const value = source.kind === "literal" ? source.value : process.env[source.name] || source.defaultValue;
    return (_request, attributes) => {
      if (value !== "") attributes[tag] = value;
    };
  });
}
