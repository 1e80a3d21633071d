/** Protocol upgrades that are let through (`websocket`), for a connection manager or one route. */
import type { Place } from "./place.ts";

interface Upgrade {
  readonly type: string;
  readonly enabled: boolean;
}

interface UpgradeMessage {
  readonly upgradeType: string;
  readonly enabled?: boolean | undefined;
}

/** The field `upgrade_configs` of the message at `at`. Types are lower case: they are compared without regard to it. */
export function decodeUpgrades(configs: readonly UpgradeMessage[], at: Place): Upgrade[] {
  const seen = new Set<string>();
  return configs.map(({ upgradeType, enabled = true }, i) => {
    const place = at.item("upgrade_configs", i).field("upgrade_type");
    const type = upgradeType.toLowerCase();
    if (type === "") place.error("is required");
    else if (type === "connect") place.error("CONNECT is not supported yet");
    else if (seen.has(type)) place.error(`${JSON.stringify(upgradeType)} is configured twice`);
    seen.add(type);
    return { type, enabled };
  });
}
