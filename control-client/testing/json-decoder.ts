/** A decoder for tests of the transport: a resource is JSON `{"name", "bad"?}`, and its model is just that. */

import type { ResourceKind, ResourceModels } from "../../xds/resources.ts";
import type { DecodedResource, EncodedResource, ResourceDecoder } from "../ads/decoder.ts";
import { FACTS } from "../resources.ts";

interface TestResource {
  readonly name: string;
  /** What is wrong with it, by field path. */
  readonly bad?: Readonly<Record<string, string>>;
}

export class JsonDecoder implements ResourceDecoder {
  /** How many resources were decoded. */
  decoded = 0;

  decode<K extends ResourceKind>(kind: K, { value }: EncodedResource): DecodedResource<K> {
    return this.decodeJson(kind, JSON.parse(new TextDecoder().decode(value)));
  }

  decodeJson<K extends ResourceKind>(_kind: K, json: unknown): DecodedResource<K> {
    this.decoded++;
    const resource = json as TestResource;
    if (!resource.bad) return { ok: true, name: resource.name, value: resource as unknown as ResourceModels[K] };
    const problems = Object.entries(resource.bad).map(([path, message]) => ({
      resource: `resource "${resource.name}"`,
      path,
      message,
    }));
    return { ok: false, name: resource.name, problems };
  }
}

/** Such a resource on the wire; `rest` makes it differ from an earlier one of its name. */
export function jsonResource(
  kind: ResourceKind,
  name: string,
  rest: Readonly<Record<string, unknown>> = {},
): { name: string; any: EncodedResource } {
  const value = new TextEncoder().encode(JSON.stringify({ name, ...rest }));
  return { name, any: { typeUrl: FACTS[kind].typeUrl, value } };
}
