/** What goes over a wire, as `tcpdump` sees it: whether some bytes went there in plaintext. */
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Daemon } from "./daemon.ts";
import type { Host } from "./network.ts";

let marks = 0;

export class Capture {
  readonly #host: Host;
  readonly #wire: "mesh" | "outside";
  readonly #file: string;
  readonly #daemon: Daemon;

  private constructor(host: Host, wire: "mesh" | "outside", file: string, daemon: Daemon) {
    this.#host = host;
    this.#wire = wire;
    this.#file = file;
    this.#daemon = daemon;
  }

  /** Begins to watch one of a host's wires. Resolves once nothing is missed any more. */
  static async start(host: Host, wire: "mesh" | "outside"): Promise<Capture> {
    const device = host.ports[wire];
    const file = path.join(host.network.dir, `${device}.pcap`);
    // As root to the end (-Z): the directory isn't tcpdump's own user's.
    const program = ["tcpdump", "-i", device, "-s", "0", "-U", "--immediate-mode", "-Z", "root", "-w", file];
    const daemon = await host.network.daemon(host.network.space, `tcpdump ${device}`, program).until(/listening on/);
    return new Capture(host, wire, file, daemon);
  }

  /** Whether these bytes went over the wire since the start, as they are, in either direction. */
  async saw(text: string): Promise<boolean> {
    // Packets reach the file some time after they have passed: a last one, of UDP, that nobody intercepts says when.
    const mark = `end-of-capture-${process.pid}-${marks++}`;
    const address = { mesh: "10.77.0.1", outside: "203.0.113.1" }[this.#wire];
    await this.#host.ask(["bash", "-c", `printf %s ${mark} >/dev/udp/${address}/9`]);
    let bytes = Buffer.alloc(0);
    await this.#daemon.until(() => {
      bytes = readFileSync(this.#file);
      return bytes.includes(mark);
    });
    return bytes.includes(text);
  }
}
