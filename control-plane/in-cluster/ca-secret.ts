/**
 * The CA's keys in a Secret that all control planes share. Whoever finds none makes it; all follow it, so that they sign
 * with the same root; the one that leads changes it. What was good last is held where it is damaged or gone.
 */
import { isDeepStrictEqual } from "node:util";
import { readBroughtCa } from "../../certs/brought-ca.ts";
import type { CaContent } from "../../certs/ca-content.ts";
import { type CaFiles, readContent, textsOf } from "../../certs/ca-files.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { messageOf, UserError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import { type Watch, WatchCell } from "../../core/watch.ts";
import { ApiError, type JsonObject, type KubernetesApi } from "../kubernetes/api.ts";
import { resourceVersionOf } from "../kubernetes/decode.ts";
import { objectAt, textsAt } from "../kubernetes/objects/fields.ts";
import { followObject, type ObjectFollower } from "./object-follower.ts";

export interface CaSecretOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  readonly name: string;
  readonly trustDomain: string;
  /** An authority to begin with, where there is no Secret yet. */
  readonly found: () => CaContent;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** What the Secret says at one version of it. */
export interface SecretState {
  readonly content: CaContent;
  /** Somebody asks for the next step of a rotation, without waiting until it is due. */
  readonly hurried: boolean;
  /** `resourceVersion` of the Secret. */
  readonly version: string;
}

/** `next`: take the next step of a root's rotation at once. */
export const ROTATE_ANNOTATION = "outrigger.dev/rotate-root";

const RETRY_MS = 2000;

export class CaSecret {
  readonly #options: CaSecretOptions;
  readonly #what: string;
  readonly #state = new WatchCell<SecretState>();
  readonly #abort = new AbortController();
  #follower: ObjectFollower | null = null;
  #object: JsonObject | null = null;
  #data: JsonObject | null = null;
  /** The version that was written upon; it is good for one write. */
  #spent = "";
  #problem = "";
  #retry: Timer | null = null;

  constructor(options: CaSecretOptions) {
    this.#options = options;
    this.#what = `Secret ${options.namespace}/${options.name}`;
  }

  /** The last good content; none until there is one. */
  get state(): Watch<SecretState> {
    return this.#state;
  }

  /** Why what the Secret says at present is not in force; "": it is. */
  get problem(): string {
    return this.#problem;
  }

  start(): void {
    const { api, namespace, name, clock, random, log } = this.#options;
    this.#follower = followObject({
      what: this.#what,
      collection: this.#collection,
      name,
      api,
      clock,
      random,
      log,
      onChange: (object) => this.#take(object),
    });
    log.debug({ namespace, name }, "following the CA's Secret");
  }

  async close(): Promise<void> {
    this.#retry?.cancel();
    this.#abort.abort();
    await this.#follower?.close();
  }

  /**
   * Writes `content` in place of what `state` was read from, and takes back the request to hurry. Rejects with an
   * ApiError of status 409 where somebody else has written since. What was written is in force once it was followed.
   */
  async write(content: CaContent, { version }: SecretState): Promise<void> {
    const object = this.#object;
    if (object === null || resourceVersionOf(object) !== version || this.#spent === version) {
      throw new ApiError(409, "Conflict", `${this.#what} is about to change`);
    }
    this.#spent = version;
    const metadata = objectAt(object, "metadata");
    const { [ROTATE_ANNOTATION]: _, ...annotations } = textsAt(metadata, "annotations");
    const body = { ...object, ...secretOf(content), metadata: { ...metadata, annotations } };
    try {
      await this.#call("PUT", `${this.#collection}/${this.#options.name}`, body);
    } catch (error) {
      // Had it been written all the same, another try upon this version would be refused.
      this.#spent = "";
      throw error;
    }
  }

  get #collection(): string {
    return `/api/v1/namespaces/${this.#options.namespace}/secrets`;
  }

  #take(object: JsonObject | null): void {
    const { log, trustDomain, clock } = this.#options;
    this.#object = object;
    this.#retry?.cancel();
    const data = object === null ? {} : objectAt(object, "data");
    if (object === null || Object.keys(data).length === 0) {
      if (this.#state.get() !== undefined)
        this.#complain(`${this.#what} is gone: it is made again with what is in force`);
      void this.#make(object);
      return;
    }
    const version = resourceVersionOf(object);
    const request = textsAt(objectAt(object, "metadata"), "annotations")[ROTATE_ANNOTATION];
    if (request !== undefined && request !== "next") {
      log.warn(
        { value: request },
        `annotation ${ROTATE_ANNOTATION} of ${this.#what} is not understood: it takes "next"`,
      );
    }
    const hurried = request === "next";
    const held = this.#state.get();
    if (held && isDeepStrictEqual(data, this.#data)) {
      this.#problem = "";
      this.#state.set({ ...held, hurried, version });
      return;
    }
    try {
      const content = contentOf(data, this.#what, trustDomain, clock.wallTime());
      this.#data = data;
      this.#problem = "";
      this.#state.set({ content, hurried, version });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#complain(`${messageOf(error)}${held ? "; what was good last stays in force" : ""}`);
    }
  }

  /** Makes the Secret, or fills one that is empty. */
  async #make(empty: JsonObject | null): Promise<void> {
    const { namespace, name, found, clock, log } = this.#options;
    const held = this.#state.get()?.content;
    // What was brought can be written by those alone who brought it.
    if (held?.brought) return;
    const content = secretOf(held ?? found());
    try {
      if (empty === null) {
        const metadata = { name, namespace, labels: { "app.kubernetes.io/managed-by": "outrigger" } };
        await this.#call("POST", this.#collection, {
          apiVersion: "v1",
          kind: "Secret",
          type: "Opaque",
          metadata,
          ...content,
        });
      } else await this.#call("PUT", `${this.#collection}/${name}`, { ...empty, ...content });
      log.info({}, held ? `${this.#what} was made again` : `${this.#what} was made: the mesh has a CA`);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      // Another control plane was first: what it wrote is on its way.
      if (error instanceof ApiError && error.status === 409) return;
      this.#complain(`${this.#what} cannot be made: ${messageOf(error)}`);
      this.#retry = clock.after(RETRY_MS, () => void this.#make(empty));
    }
  }

  #complain(problem: string): void {
    if (problem !== this.#problem) this.#options.log.error({}, problem);
    this.#problem = problem;
  }

  async #call(method: "POST" | "PUT", path: string, body: JsonObject): Promise<void> {
    await this.#options.api.call({ method, path, body }, this.#abort.signal);
  }
}

function secretOf(content: CaContent): { readonly data: JsonObject } {
  const entries = Object.entries(textsOf(content)).map(([name, text]) => [name, Buffer.from(text).toString("base64")]);
  return { data: Object.fromEntries(entries) };
}

/** Throws a UserError that names the entry. */
function contentOf(data: JsonObject, what: string, trustDomain: string, now: number): CaContent {
  const files: CaFiles = {
    read(name) {
      const value = data[name];
      return typeof value === "string" ? Buffer.from(value, "base64").toString() : null;
    },
    place: (name) => `${what}, entry ${name}`,
  };
  const content = readBroughtCa(files, trustDomain, now) ?? readContent(files);
  if (content === null) {
    throw new UserError(
      `${what} holds no CA: it needs ca-cert.pem, ca-key.pem and root-cert.pem, or tls.crt, tls.key and ca.crt`,
    );
  }
  if (content.trustDomain === trustDomain) return content;
  throw new UserError(`${what} holds the CA of trust domain "${content.trustDomain}", not of "${trustDomain}"`);
}
