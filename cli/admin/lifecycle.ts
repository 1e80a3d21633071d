/** `/ready`, `/server_info`, and the pages that drain or end the process. */
import type { AdminSource } from "./admin-source.ts";
import { type AdminPage, type AdminResponse, json, text } from "./handler.ts";

/** 200 and `LIVE`, or 503 with the state that the process is in instead. */
export function ready(source: Pick<AdminSource, "state" | "waitingFor">): AdminResponse {
  const state = source.state();
  if (state === "LIVE") return text("LIVE\n");
  const waiting = source.waitingFor();
  return text(`${state}\n${waiting === "" ? "" : `${waiting}\n`}`, 503);
}

export const readyPage: AdminPage = {
  path: "/ready",
  help: "print server state, return 200 if LIVE, otherwise return 503",
  handle: ({ source }) => ready(source),
};

export const serverInfoPage: AdminPage = {
  path: "/server_info",
  help: "print server version/status information",
  handle({ source }) {
    const info = source.serverInfo();
    const uptime = `${Math.floor(info.uptimeMs / 1000)}s`;
    return json({
      version: info.version,
      state: source.state(),
      uptime_current_epoch: uptime,
      uptime_all_epochs: uptime,
      command_line_options: info.options,
      node: { ...info.node, user_agent_name: "outrigger" },
      revision: info.revision,
    });
  },
};

const done = text("OK\n");

function action(path: string, help: string, act: (source: AdminSource) => void): AdminPage {
  return {
    path,
    help,
    mutates: true,
    handle({ source }) {
      act(source);
      return done;
    },
  };
}

export const lifecyclePages: readonly AdminPage[] = [
  action("/drain", "drain listeners", (source) => source.drain()),
  action("/drain_listeners", "drain listeners (Envoy's name)", (source) => source.drain()),
  action("/healthcheck/fail", "cause the server to fail health checks", (source) => source.failHealthcheck(true)),
  action("/healthcheck/ok", "cause the server to pass health checks", (source) => source.failHealthcheck(false)),
  action("/quitquitquit", "drain and exit the server", (source) => source.quit()),
];
