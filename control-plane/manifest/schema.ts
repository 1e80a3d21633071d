/**
 * Declarative readers of manifests. A schema turns a YAML node into a typed value and collects every problem with its
 * position, so that one look at a manifest tells all that is wrong with it.
 */
import { isMap, isScalar, isSeq, type Node } from "yaml";
import {
  childOf,
  describe,
  INVALID,
  join,
  type Place,
  type Read,
  report,
  resolved,
  scalarAt,
  sourceOf,
} from "./place.ts";
import { type CelRule, OPAQUE, type Shape, withRules } from "./shape.ts";
import { didYouMean } from "./suggest.ts";

export interface Schema<T> {
  read(place: Place): Read<T>;
  /** The fields below, by dotted path (`retry.budget.percent`), for documentation and tests. */
  readonly paths: readonly string[];
  /** What `read` accepts, for those who must accept the same elsewhere. */
  readonly shape: Shape;
}

export type ValueOf<S> = S extends Schema<infer T> ? T : never;

/** Text; `check` gives what is wrong with it, or null. */
export function string(check?: (value: string) => string | null): Schema<string> {
  const shape: Shape = check ? OPAQUE : { type: "string", pattern: null, maxLength: null, words: null };
  return text(check ?? (() => null), shape);
}

/** Text of a pattern (in the syntax that JavaScript and RE2 share), and at most `maxLength` characters long. */
export function matching(pattern: RegExp, maxLength: number, problem: (value: string) => string): Schema<string> {
  const check = (value: string) => (value.length <= maxLength && pattern.test(value) ? null : problem(value));
  return text(check, { type: "string", pattern, maxLength, words: null });
}

/** One of a few words, with a sentence of its own for all others. */
export function among(words: readonly string[], problem: (value: string) => string): Schema<string> {
  const check = (value: string) => (words.includes(value) ? null : problem(value));
  return text(check, { type: "string", pattern: null, maxLength: null, words });
}

function text(check: (value: string) => string | null, shape: Shape): Schema<string> {
  return {
    paths: [],
    shape,
    read(place) {
      const value = scalarAt(place);
      if (typeof value !== "string") return report(place, `expected a string, found ${describe(place)}`);
      const wrong = check(value);
      return wrong === null ? value : report(place, wrong);
    },
  };
}

/** A number between `min` and `max`, whole unless `fractional`. */
export function number(min: number, max: number, fractional = false): Schema<number> {
  return {
    paths: [],
    shape: { type: "number", min, max, fractional },
    read(place) {
      const value = scalarAt(place);
      if (typeof value !== "number" || (!fractional && !Number.isInteger(value))) {
        return report(place, `expected a ${fractional ? "" : "whole "}number, found ${describe(place)}`);
      }
      if (value < min || value > max) return report(place, `must be between ${min} and ${max}, found ${value}`);
      return value;
    },
  };
}

export const boolean: Schema<boolean> = {
  paths: [],
  shape: { type: "boolean" },
  read(place) {
    const value = scalarAt(place);
    return typeof value === "boolean" ? value : report(place, `expected true or false, found ${describe(place)}`);
  },
};

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Schema<T> {
  return {
    paths: [],
    shape: { type: "string", pattern: null, maxLength: null, words },
    read(place) {
      const value = scalarAt(place);
      const found = words.find((word) => word === value);
      if (found !== undefined) return found;
      const hint = typeof value === "string" ? didYouMean(value, words) : "";
      return report(place, `expected one of ${words.join(", ")}, found ${describe(place)}${hint}`);
    },
  };
}

/** Anything: for fields that Kubernetes defines and that make no difference here. */
export const ignored: Schema<null> = { paths: [], shape: { type: "any" }, read: () => null };

/** A value that is understood and not offered: always a problem, with the reason. */
export function refused(reason: string): Schema<null> {
  return { paths: [], shape: OPAQUE, read: (place) => report(place, reason) };
}

/** A list of `item`, at least `min` and at most `max` long. */
export function list<T>(item: Schema<T>, min = 0, max = 1024): Schema<readonly T[]> {
  return {
    paths: item.paths,
    shape: { type: "list", item: item.shape, min, max },
    read(place) {
      const node = resolved(place);
      if (!isSeq(node)) return report(place, `expected a list, found ${describe(place)}`);
      if (node.items.length < min || node.items.length > max) {
        return report(place, `expected ${min} to ${max} entries, found ${node.items.length}`);
      }
      const values: T[] = [];
      let valid = true;
      node.items.forEach((child, index) => {
        const value = item.read({
          node: (child ?? null) as Node | null,
          path: `${place.path}[${index}]`,
          context: place.context,
          offset: node.range?.[0] ?? place.offset,
        });
        if (value === INVALID) valid = false;
        else values.push(value);
      });
      return valid ? values : INVALID;
    },
  };
}

/** Words to words: labels, annotations, selectors. */
export const stringMap: Schema<Readonly<Record<string, string>>> = {
  paths: [],
  shape: { type: "stringMap" },
  read(place) {
    const node = resolved(place);
    if (!isMap(node)) return report(place, `expected a mapping, found ${describe(place)}`);
    const entries: [string, string][] = [];
    let valid = true;
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : "";
      const child = { ...place, node: (pair.value ?? null) as Node | null, path: join(place.path, key) };
      const value = string().read(child);
      if (value === INVALID) valid = false;
      else entries.push([key, value]);
    }
    return valid ? Object.fromEntries(entries) : INVALID;
  },
};

/** A field of an object: what it holds, and what its absence means. */
export interface Field<T> {
  readonly schema: Schema<T>;
  readonly required: boolean;
  readonly fallback: T | undefined;
}

export function required<T>(schema: Schema<T>): Field<T> {
  return { schema, required: true, fallback: undefined };
}

/** Absent gives null. */
export function optional<T>(schema: Schema<T>): Field<T | null> {
  return { schema, required: false, fallback: null };
}

/** Absent gives `fallback`. */
export function withDefault<T>(schema: Schema<T>, fallback: NoInfer<T>): Field<T> {
  return { schema, required: false, fallback };
}

export type Fields = Readonly<Record<string, Field<unknown>>>;
export type ObjectOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** A mapping with exactly these fields; an unknown one is a problem. */
export function object<F extends Fields>(fields: F): Schema<ObjectOf<F>> {
  const names = Object.keys(fields);
  return {
    paths: names.flatMap((name) => [name, ...(fields[name]?.schema.paths.map((sub) => `${name}.${sub}`) ?? [])]),
    shape: {
      type: "object",
      fields: Object.fromEntries(
        Object.entries(fields).map(([name, field]) => [name, { shape: field.schema.shape, required: field.required }]),
      ),
    },
    read(place) {
      const node = resolved(place);
      if (!isMap(node)) return report(place, `expected a mapping, found ${describe(place)}`);
      const values: Record<string, unknown> = {};
      let valid = true;
      for (const pair of node.items) {
        const key = isScalar(pair.key) ? String(pair.key.value) : "";
        const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
        if (!field) {
          const at = { ...place, node: pair.key as Node, path: join(place.path, key) };
          report(at, `unknown field${didYouMean(key, names)}`);
          valid = false;
          continue;
        }
        const value = (pair.value ?? null) as Node | null;
        if (value === null || (isScalar(value) && value.value === null)) continue;
        const offset = (pair.key as Node).range?.[0] ?? place.offset;
        const read = field.schema.read({ node: value, path: join(place.path, key), context: place.context, offset });
        if (read === INVALID) valid = false;
        values[key] = read;
      }
      for (const [name, field] of Object.entries(fields)) {
        if (Object.hasOwn(values, name)) continue;
        if (field.required) {
          report({ ...place, path: join(place.path, name) }, "is required");
          valid = false;
        } else values[name] = field.fallback;
      }
      return valid ? (values as ObjectOf<F>) : INVALID;
    },
  };
}

/**
 * Adds a check over the whole value; `complain` reports at the value, or at one of its fields. `rules` say the same in CEL:
 * without them what the schema accepts can't be described.
 */
export function checked<T>(
  schema: Schema<T>,
  check: (value: T, complain: (message: string, field?: string) => void) => void,
  rules: readonly CelRule[] | null = null,
): Schema<T> {
  return {
    paths: schema.paths,
    shape: rules === null ? OPAQUE : withRules(schema.shape, rules),
    read(place) {
      const value = schema.read(place);
      if (value === INVALID) return INVALID;
      let valid = true;
      check(value, (message, field) => {
        valid = false;
        report(field === undefined ? place : childOf(place, field), message);
      });
      return valid ? value : INVALID;
    },
  };
}

/** Turns the value that was read into another. */
export function mapped<A, B>(schema: Schema<A>, map: (value: A) => B): Schema<B> {
  return {
    paths: schema.paths,
    shape: schema.shape,
    read(place) {
      const value = schema.read(place);
      return value === INVALID ? INVALID : map(value);
    },
  };
}

/** Adds `source`, the `file:line` where the value stands. */
export function located<T extends object>(schema: Schema<T>): Schema<T & { readonly source: string }> {
  return {
    paths: schema.paths,
    shape: schema.shape,
    read(place) {
      const value = schema.read(place);
      return value === INVALID ? INVALID : { ...value, source: sourceOf(place) };
    },
  };
}
