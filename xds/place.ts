/**
 * Where a decoder is inside a resource, and what it found wrong there. Decoders never stop at the first error: they
 * report it at their place, go on with a stand-in value, and the whole result is thrown away at the end.
 */
import type { Problem } from "../core/errors.ts";

/** What decoding may ask of the world. `xds` never touches the disk or the environment but through this. */
export interface DecodeOptions {
  /** Reads a file that a `DataSource` names; may throw. */
  readonly readFile: (path: string) => Uint8Array;
  /** For `DataSource.environment_variable`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /**
   * What is wrong with a format string (`%RESPONSE_CODE%`), null if nothing. Absent: formats are not looked at, as where
   * what is decoded is not going to be run.
   */
  readonly checkFormat?: (template: string) => string | null;
}

/** A value, or everything that is wrong with it. Notes name what was accepted and ignored, and why. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T; readonly notes: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly notes: readonly Problem[] };

/** What one decoding run collects. */
export interface Findings {
  readonly options: DecodeOptions;
  readonly problems: Problem[];
  readonly notes: Problem[];
  /** Texts of the files read so far, by path: many clusters name the same few. */
  readonly files: Map<string, string>;
  /** Values of `layered_runtime`, later layers over earlier ones, by runtime key. */
  readonly runtime: Map<string, unknown>;
}

export class Place {
  readonly findings: Findings;
  readonly #parent: Place | null;
  readonly #segment: string;
  readonly #resource: string | undefined;

  private constructor(findings: Findings, parent: Place | null, segment: string, resource: string | undefined) {
    this.findings = findings;
    this.#parent = parent;
    this.#segment = segment;
    this.#resource = resource;
  }

  /** The place where a decoding run starts, with nothing found yet. */
  static root(options: DecodeOptions): Place {
    const findings = {
      options,
      problems: [],
      notes: [],
      files: new Map<string, string>(),
      runtime: new Map<string, unknown>(),
    };
    return new Place(findings, null, "", undefined);
  }

  /** A field, by its name in the proto file (`lb_policy`). */
  field(name: string): Place {
    return new Place(this.findings, this, this.#parent ? `.${name}` : name, this.#resource);
  }

  /** An element of a repeated field, by its name and index: `clusters[2]`. */
  item(name: string, index: number): Place {
    return new Place(this.findings, this, `${this.#parent ? "." : ""}${name}[${index}]`, this.#resource);
  }

  /** An entry of a map field: `filter_metadata["outrigger"]`. */
  entry(name: string, key: string): Place {
    return new Place(this.findings, this, `${this.#parent ? "." : ""}${name}[${JSON.stringify(key)}]`, this.#resource);
  }

  /** The same place, belonging to a named resource (`cluster "orders"`) from here on. */
  in(resource: string): Place {
    return new Place(this.findings, this.#parent, this.#segment, resource);
  }

  /** `static_resources.clusters[2].lb_policy`; "" at the root. */
  get path(): string {
    return this.#parent ? this.#parent.path + this.#segment : this.#segment;
  }

  /** Reports an error here: a sentence without a trailing full stop. */
  error(message: string): void {
    this.findings.problems.push(this.#problem(message));
  }

  /** Reports that something here is accepted and ignored, with the reason. */
  note(message: string): void {
    this.findings.notes.push(this.#problem(message));
  }

  #problem(message: string): Problem {
    const path = this.path;
    return { message, ...(path ? { path } : {}), ...(this.#resource ? { resource: this.#resource } : {}) };
  }
}

/** The result of a run that started at `root` and produced `value`. */
export function conclude<T>(root: Place, value: T): Decoded<T> {
  const { problems, notes } = root.findings;
  return problems.length > 0 ? { ok: false, problems, notes } : { ok: true, value, notes };
}
