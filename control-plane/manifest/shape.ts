/**
 * What a schema accepts, as plain data: the CRDs of Outrigger's own kinds are made from it, so that an API server accepts
 * what the reader of manifests accepts, and nothing else.
 */

/** A check over the fields of a value in the language of `x-kubernetes-validations` (CEL). */
export interface CelRule {
  /** True where the value is good; `self` is the value. */
  readonly rule: string;
  readonly message: string;
  /** The field that the message is about; absent: the value as a whole. */
  readonly field?: string;
}

export interface StringShape {
  readonly type: "string";
  readonly pattern: RegExp | null;
  readonly maxLength: number | null;
  /** The only values there are, where they are few. */
  readonly words: readonly string[] | null;
}

export interface NumberShape {
  readonly type: "number";
  readonly min: number;
  readonly max: number;
  readonly fractional: boolean;
}

export interface ListShape {
  readonly type: "list";
  readonly item: Shape;
  readonly min: number;
  readonly max: number;
}

export interface ObjectShape {
  readonly type: "object";
  readonly fields: Readonly<Record<string, { readonly shape: Shape; readonly required: boolean }>>;
}

/**
 * `any` takes whatever comes and looks at nothing. `opaque` is decided by a function that no other language can be told:
 * a kind that has it can't be described.
 */
export type Shape = (
  | StringShape
  | NumberShape
  | ListShape
  | ObjectShape
  | { readonly type: "boolean" | "stringMap" | "any" | "opaque" }
) & { readonly rules?: readonly CelRule[] };

export const OPAQUE: Shape = { type: "opaque" };

/** The same shape with more rules. */
export function withRules(shape: Shape, rules: readonly CelRule[]): Shape {
  return { ...shape, rules: [...(shape.rules ?? []), ...rules] };
}
