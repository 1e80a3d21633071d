/**
 * What a listener learns and counts of the protocols that its connections turn out to speak, where they were not declared
 * (docs/detection.md).
 */
import type { Detection as DetectionConfig, Listener } from "../../model/listener.ts";
import type { Arrival } from "./arrival.ts";
import type { DetectionMemory } from "./detection-memory.ts";
import type { IntakeEnd } from "./intake.ts";

export type DetectionOutcome =
  | "tls"
  | "http1"
  | "http2"
  /** The client spoke, and it was nothing that is known. */
  | "opaque"
  | "server_first"
  /** The time was up, or the client ended, before it was clear: opaque. */
  | "deadline";

export class Detection {
  readonly #config: DetectionConfig;
  readonly #memory: DetectionMemory;
  readonly #byPort: boolean;

  constructor(config: DetectionConfig, { trafficDirection }: Listener, memory: DetectionMemory) {
    this.#config = config;
    this.#memory = memory;
    // The workload's own ports are the same whatever address they are called by.
    this.#byPort = trafficDirection === "inbound";
  }

  /** How long this client may be silent before the server is listened to, ms. */
  silenceMs(arrival: Arrival): number {
    return this.#memory.silenceMs(this.#keyOf(arrival), this.#config.serverFirstAfterMs);
  }

  /** What an intake's end says, which is kept for the next connection to that destination. */
  learn(arrival: Arrival, end: IntakeEnd): DetectionOutcome {
    if (end === "server") this.#memory.learn(this.#keyOf(arrival), "server");
    else if (arrival.head !== null) this.#memory.learn(this.#keyOf(arrival), "client");
    switch (end) {
      case "server":
        return "server_first";
      case "known":
        return protocolOf(arrival);
      default:
        return "deadline";
    }
  }

  #keyOf({ destinationAddress, destinationPort }: Arrival): string {
    return this.#byPort ? `:${destinationPort}` : `${destinationAddress} ${destinationPort}`;
  }
}

function protocolOf({ transportProtocol, applicationProtocols: [protocol] }: Arrival): DetectionOutcome {
  if (transportProtocol === "tls") return "tls";
  if (protocol === undefined) return "opaque";
  return protocol === "h2c" ? "http2" : "http1";
}
