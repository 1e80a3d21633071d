/** Follows which certificate each sidecar shows, and since when. */
import { systemClock } from "../../core/clock.ts";
import { httpGet } from "./http-get.ts";
import type { DemoMesh, DemoWorkload } from "./mesh.ts";
import { sleep } from "./wait.ts";
import type { WorkloadName } from "./workloads.ts";

const LOOK_EVERY_MS = 200;

interface Seen {
  readonly serial: string;
  /** Monotonic ms. */
  readonly since: number;
  readonly rotations: number;
}

/** What `/certs` says, as far as it is read here. */
interface CertsPage {
  readonly certificates: readonly {
    readonly cert_chain: readonly { readonly serial_number: string }[];
  }[];
}

export class CertificateWatch {
  readonly #seen = new Map<WorkloadName, Seen>();
  readonly #mesh: DemoMesh;
  #running = true;
  readonly #looking: Promise<void>;

  constructor(mesh: DemoMesh) {
    this.#mesh = mesh;
    this.#looking = this.#look();
  }

  /** How often a workload's certificate was replaced since the watch began. */
  rotations(name: WorkloadName): number {
    return this.#seen.get(name)?.rotations ?? 0;
  }

  /** Ms since the certificate in force was first seen; null: none has been seen yet. */
  age(name: WorkloadName): number | null {
    const seen = this.#seen.get(name);
    return seen === undefined ? null : systemClock.now() - seen.since;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#looking;
  }

  async #look(): Promise<void> {
    while (this.#running) {
      await Promise.all(Object.values(this.#mesh.workloads).map((workload) => this.#lookAt(workload)));
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #lookAt({ name, sidecar }: DemoWorkload): Promise<void> {
    const { status, body } = await httpGet(`http://${sidecar.address}:${sidecar.adminPort}/certs`, 1000);
    if (status !== 200) return;
    const page = JSON.parse(body) as CertsPage;
    const serial = page.certificates.flatMap(({ cert_chain }) => cert_chain).at(0)?.serial_number;
    const seen = this.#seen.get(name);
    if (serial === undefined || serial === seen?.serial) return;
    this.#seen.set(name, {
      serial,
      since: systemClock.now(),
      rotations: seen === undefined ? 0 : seen.rotations + 1,
    });
  }
}
