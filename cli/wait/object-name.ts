/** What people call an object, and what it is called in a mesh: `httproutes/orders` is `HTTPRoute/shop/orders`. */
import { SOURCE_KINDS } from "../../control-plane/kubernetes/kinds.ts";
import { KINDS, type ManifestKind } from "../../control-plane/manifest/kinds.ts";
import { UserError } from "../../core/errors.ts";

export interface ObjectName {
  readonly kind: ManifestKind;
  readonly namespace: string;
  readonly name: string;
}

/** As the CRDs have them. */
const SHORT_NAMES: Readonly<Record<string, ManifestKind>> = {
  respol: "ResiliencePolicy",
  accpol: "AccessPolicy",
  meshpol: "MeshPolicy",
};

/** `KIND/NAME`, the kind in any case, as one or several. Throws a `UserError` for anything else. */
export function parseObjectName(text: string, namespace: string): ObjectName {
  const [given = "", name = "", ...more] = text.split("/");
  if (name === "" || more.length > 0) throw new UserError(`"${text}" is not KIND/NAME, as in HTTPRoute/orders`, 2);
  // Nobody waits for slices: they change all the time.
  const kinds = (Object.keys(KINDS) as ManifestKind[]).filter((kind) => kind !== "EndpointSlice");
  const wanted = given.toLowerCase();
  const kind =
    kinds.find((one) => one.toLowerCase() === wanted || SOURCE_KINDS[one].plural === wanted) ?? SHORT_NAMES[wanted];
  if (!kind) throw new UserError(`kind "${given}" is not known: ${kinds.join(", ")}`, 2);
  return { kind, namespace, name };
}

export function keyOf({ kind, namespace, name }: ObjectName): string {
  return `${kind}/${namespace}/${name}`;
}
