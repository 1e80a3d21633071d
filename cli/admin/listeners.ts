/** `/listeners`: where connections are accepted. */
import { addressJson } from "./address-json.ts";
import { type AdminPage, json, text } from "./handler.ts";

export const listenersPage: AdminPage = {
  path: "/listeners",
  refreshes: true,
  help: "print listener info",
  parameters: { format: "text (the default) or json" },
  handle({ source, query }) {
    const listeners = source.listeners();
    if (query.get("format") === "json") {
      return json({
        listener_statuses: listeners.map(({ name, address }) => ({ name, local_address: addressJson(address) })),
      });
    }
    return text(listeners.map(({ name, address }) => `${name}::${address}\n`).join(""));
  },
};
