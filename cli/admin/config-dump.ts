/** `/config_dump`: the configuration in force, in Envoy's shape. */
import { type AdminPage, json } from "./handler.ts";
import { redact } from "./redact.ts";

export const configDumpPage: AdminPage = {
  path: "/config_dump",
  help: "dump current configs",
  parameters: {
    resource: "The resource to dump (dynamic_active_clusters, …)",
    name_regex: "Dump only the configurations whose names match this regular expression (RE2)",
    include_eds: "Dump endpoints, too",
  },
  async handle({ source, query }) {
    const dump = await source.configDump({
      resource: query.get("resource") ?? "",
      nameRegex: query.get("name_regex") ?? "",
      includeEndpoints: query.has("include_eds"),
    });
    return json(redact(dump));
  },
};
