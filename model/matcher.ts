/** Matchers that several resources share (`envoy.type.matcher.v3`), as data; `proxy/router/compile-matcher.ts` runs them. */

export type StringMatch =
  | { readonly kind: "exact"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "prefix"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "suffix"; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: "contains"; readonly value: string; readonly ignoreCase: boolean }
  /** RE2 syntax; must match the whole string, as in Envoy. */
  | { readonly kind: "regex"; readonly value: string };

/** `route.v3.HeaderMatcher`. `name` is lower case. */
export interface HeaderMatch {
  readonly name: string;
  readonly match:
    | { readonly kind: "string"; readonly match: StringMatch }
    /** start ≤ value < end */
    | { readonly kind: "range"; readonly start: number; readonly end: number }
    | { readonly kind: "present"; readonly present: boolean };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

/** `route.v3.QueryParameterMatcher`. */
export interface QueryMatch {
  readonly name: string;
  readonly match:
    | { readonly kind: "string"; readonly match: StringMatch }
    | { readonly kind: "present"; readonly present: boolean };
}

/** `type.v3.FractionalPercent`, kept exact: `numerator` of `denominator` (100, 10,000 or 1,000,000). */
export interface Fraction {
  readonly numerator: number;
  readonly denominator: number;
}

export interface RegexRewrite {
  /** RE2 syntax. */
  readonly pattern: string;
  /** RE2 substitution: `\1` is the first group. */
  readonly substitution: string;
}
