/** What goes over a wire, as `tcpdump` sees it: whether some bytes went there in plaintext. */
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import type { Daemon } from "./daemon.ts";
import { type Host, NETWORK } from "./network.ts";

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

  /** Bytes that went over the wire since the start, with what tcpdump notes of each packet, as far as they are written. */
  get size(): number {
    return statSync(this.#file).size;
  }

  /** Whether these bytes went over the wire since the start, as they are, in either direction. */
  async saw(text: string): Promise<boolean> {
    await this.settled();
    return readFileSync(this.#file).includes(text);
  }

  /** Resolves once all that has passed is written. Packets reach the file some time after: a last one says when. */
  async settled(): Promise<void> {
    const mark = `end-of-capture-${process.pid}-${marks++}`;
    // UDP, which nobody intercepts.
    await this.#host.ask(["bash", "-c", `printf %s ${mark} >/dev/udp/${NETWORK[this.#wire][4]}/9`]);
    await this.#daemon.until(() => readFileSync(this.#file).includes(mark));
  }
}
