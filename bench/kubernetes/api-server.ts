/** The API server of the control plane's benchmark, a process of its own: knows the cluster, and changes it when told. */
import { rmSync } from "node:fs";
import { FakeApiServer } from "../../test/support/fake-api-server.ts";
import { content, SIZE, slicePut } from "./content.ts";
import { type FromApiServer, now, type ToApiServer } from "./messages.ts";

const [, , directory = "", size = "", reach = ""] = process.argv;
const of = { ...SIZE, ...(JSON.parse(size) as object) };
const server = new FakeApiServer(directory);
for (const { path, object } of content(of, reach === "" ? null : Number(reach))) server.cluster.put(path, object);
// Whose token it is stands in the token.
server.cluster.review = ({ token }) => {
  const [, body = ""] = String(token).split(".");
  const [namespace, account] = Buffer.from(body, "base64url").toString().split("/");
  return {
    authenticated: true,
    audiences: ["outrigger-ca"],
    user: {
      username: `system:serviceaccount:${namespace}:${account}`,
      extra: {
        "authentication.kubernetes.io/pod-name": ["pod"],
        "authentication.kubernetes.io/pod-uid": ["uid"],
      },
    },
  };
};

function tell(message: FromApiServer): void {
  process.send?.(message);
}

process.on("message", (message: ToApiServer) => {
  if (message.kind === "roots") {
    const map = server.cluster.get("/api/v1/namespaces/ns-0/configmaps/outrigger-ca-roots");
    const data = map?.["data"] as Readonly<Record<string, string>> | undefined;
    tell({ kind: "roots", roots: data?.["root-cert.pem"] ?? null });
    return;
  }
  const { path, object } = slicePut(message.service, of, message.ready);
  const at = now();
  server.cluster.put(path, object);
  tell({ kind: "changed", at });
});
process.on("disconnect", () => {
  rmSync(directory, { recursive: true, force: true });
  process.exit(0);
});

await server.listen();
tell({ kind: "listening", environment: server.environment as Readonly<Record<string, string>> });
