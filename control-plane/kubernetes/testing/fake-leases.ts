/** Leases of an API server, reached over links that are slow, lose calls or answers, or are cut. */
import type { Clock } from "../../../core/clock.ts";
import { type ApiCall, ApiError, type Json, type JsonObject, type KubernetesApi } from "../api.ts";
import { resourceVersionOf } from "../decode.ts";

/** What becomes of a call: how long it and its answer travel, ms; null: that one is lost, and nobody hears of it. */
export interface Journey {
  readonly there: number | null;
  readonly back: number | null;
  /** Answered instead, without anything being done. */
  readonly error?: Error;
}

export type Link = (call: ApiCall) => Journey;

export class FakeLeases {
  readonly #clock: Clock;
  #version = 1;
  readonly #leases = new Map<string, JsonObject>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How one candidate reaches the server. It hears of a lost call only when it gives it up. */
  over(link: Link): KubernetesApi["call"] {
    return (call, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        const { there, back, error } = link(call);
        if (there === null) return;
        this.#clock.after(there, () => {
          let answer: () => void;
          try {
            if (error) throw error;
            const value = this.#answer(call);
            answer = () => resolve(value);
          } catch (failure) {
            answer = () => reject(failure);
          }
          if (back !== null) this.#clock.after(back, answer);
        });
      });
  }

  get(name: string): JsonObject | undefined {
    return this.#leases.get(name);
  }

  /** As somebody else would, whatever its version. */
  put(name: string, spec: JsonObject): void {
    this.#store(name, { ...this.#leases.get(name), spec });
  }

  delete(name: string): void {
    this.#leases.delete(name);
  }

  #answer({ method, path, body }: ApiCall): Json {
    const sent = (body ?? {}) as JsonObject;
    const metadata = (sent["metadata"] ?? {}) as JsonObject;
    const name = method === "POST" ? String(metadata["name"]) : path.slice(path.lastIndexOf("/") + 1);
    const known = this.#leases.get(name);
    if (method === "POST") {
      if (known) throw new ApiError(409, "AlreadyExists", `leases "${name}" already exists`);
      return this.#store(name, sent);
    }
    if (!known) throw new ApiError(404, "NotFound", `leases "${name}" not found`);
    if (method === "GET") return known;
    if (resourceVersionOf(sent) !== resourceVersionOf(known)) {
      throw new ApiError(409, "Conflict", "the object has been modified");
    }
    // A server stores nothing new where nothing is.
    if (JSON.stringify(sent["spec"]) === JSON.stringify(known["spec"])) return known;
    return this.#store(name, sent);
  }

  #store(name: string, object: JsonObject): JsonObject {
    const resourceVersion = String(++this.#version);
    const stored = { ...object, metadata: { ...(object["metadata"] as JsonObject), name, resourceVersion } };
    this.#leases.set(name, stored);
    return stored;
  }
}
