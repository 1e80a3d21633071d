/** The command's flags as they are where none is given, for tests. */
import type { InterceptionFlags } from "../settings.ts";

export const FLAGS: InterceptionFlags = {
  inboundMode: "redirect",
  outboundPort: 15_001,
  inboundPort: 15_006,
  includeInboundPorts: "all",
  excludeInboundPorts: [],
  includeInboundIpRanges: "all",
  excludeInboundIpRanges: [],
  includeOutboundPorts: [],
  excludeOutboundPorts: [],
  includeOutboundIpRanges: "all",
  excludeOutboundIpRanges: [],
  excludeInterfaces: [],
};
