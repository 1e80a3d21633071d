/** Health probes: who asks for a pod's health has no certificate, and no name that a policy could allow. */
import type { AccessLog } from "../../model/access-log.ts";
import type { HttpFilter } from "../../model/http.ts";
import type { Permission } from "../../model/rbac.ts";
import type { MeshSettings } from "../mesh/state.ts";
import { accessLogs } from "./telemetry.ts";

/** What the log says of a plaintext request that is no probe. */
const REFUSAL = "mutual-TLS-required";

/** `GET` on exactly one of these paths. */
export function isProbe(paths: readonly string[]): Permission {
  const exact = (value: string) => ({ kind: "exact" as const, value, ignoreCase: false });
  const isGet: Permission = {
    kind: "header",
    header: {
      name: ":method",
      match: { kind: "string", match: exact("GET") },
      invert: false,
      treatMissingAsEmpty: false,
    },
  };
  const isPath: Permission = { kind: "or", rules: paths.map((path) => ({ kind: "url_path", path: exact(path) })) };
  return { kind: "and", rules: [isGet, isPath] };
}

/** Lets `GET` on exactly these paths pass, and nothing else. */
export function probeFilter(paths: readonly string[]): HttpFilter {
  const refused: Permission = { kind: "not", rule: isProbe(paths) };
  return {
    kind: "rbac",
    name: "outrigger.probes",
    disabled: false,
    statPrefix: "",
    policy: {
      rules: {
        action: "deny",
        policies: [{ name: REFUSAL, permissions: [refused], principals: [{ kind: "any" }] }],
      },
      shadowRules: null,
    },
  };
}

/** Refused requests are failures here; probes that pass are nobody's calls. */
export function probeLogs(settings: MeshSettings): readonly AccessLog[] {
  return accessLogs(settings).map((log) => ({
    ...log,
    filter: { kind: "status_code", op: "ge", value: 400 },
  }));
}
