/**
 * The CRDs of Outrigger's own kinds (`charts/outrigger-crds/templates/`), made from what reads manifests: the API server
 * accepts what the control plane accepts. What a field means comes from `docs/manifests.md`, so that `kubectl explain`
 * says what the guide says. `npm test -- --update test/charts/crds.test.ts` writes them anew.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { KINDS, OWN_API } from "../control-plane/manifest/kinds.ts";
import type { Shape } from "../control-plane/manifest/shape.ts";
import { STATUS } from "./crd-status.ts";

const GUIDE = path.join(import.meta.dirname, "..", "docs", "manifests.md");

/** A schema of OpenAPI v3 as CRDs have it ("structural": every level says its type). */
export type OpenApi = { readonly [key: string]: unknown };

interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly description?: string;
  /** 1: only with `-o wide`. */
  readonly priority?: number;
}

interface Names {
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly PrinterColumn[];
}

const target: PrinterColumn = {
  name: "Target",
  type: "string",
  jsonPath: ".spec.targetRefs[0].name",
  description: "The first of the targets",
};
const mode: PrinterColumn = { name: "Mode", type: "string", jsonPath: ".spec.mode" };

/** Conditions that the control plane sets, as columns. */
const conditions: readonly PrinterColumn[] = [
  { name: "Accepted", type: "string", jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
  { name: "Programmed", type: "string", jsonPath: '.status.conditions[?(@.type=="Programmed")].status' },
  { name: "Reason", type: "string", jsonPath: '.status.conditions[?(@.type=="Accepted")].reason', priority: 1 },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
];

export const OWN_KINDS = {
  ResiliencePolicy: {
    plural: "resiliencepolicies",
    shortNames: ["respol"],
    columns: [{ ...target, name: "Kind", jsonPath: ".spec.targetRefs[0].kind", priority: 1 }, target, mode],
  },
  AccessPolicy: {
    plural: "accesspolicies",
    shortNames: ["accpol"],
    columns: [target, { name: "Action", type: "string", jsonPath: ".spec.action" }, mode],
  },
  MeshPolicy: {
    plural: "meshpolicies",
    shortNames: ["meshpol"],
    columns: [target, { name: "mTLS", type: "string", jsonPath: ".spec.mtls.mode" }],
  },
} as const satisfies Readonly<Record<string, Names>>;

export type OwnKind = keyof typeof OWN_KINDS;

/** One CRD as an object, without what only Helm adds. */
export function crd(kind: OwnKind): OpenApi {
  const { shape } = KINDS[kind].schema;
  const spec = shape.type === "object" ? shape.fields["spec"]?.shape : undefined;
  if (!spec) throw new Error(`${kind} has no spec`);
  const { plural, shortNames, columns }: Names = OWN_KINDS[kind];
  const [group = "", version = ""] = OWN_API.split("/");
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: ["outrigger", "mesh"],
      },
      scope: "Namespaced",
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...columns, ...conditions],
          schema: {
            openAPIV3Schema: {
              type: "object",
              description: introduction(kind),
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec: openApi(spec, descriptions(kind), ""),
                status: STATUS,
              },
            },
          },
        },
      ],
    },
  };
}

/** A CRD as the chart's template of it. */
export function crdTemplate(kind: OwnKind): string {
  // YAML 1.1 is what Kubernetes' tools read: `On` without quotes is a boolean there.
  const yaml = stringify(crd(kind), { version: "1.1", lineWidth: 120, aliasDuplicateObjects: false });
  if (yaml.includes("{{")) throw new Error(`${kind}: Helm would take a part of it for a template`);
  const metadata = '{{- include "outrigger-crds.metadata" . | nindent 2 }}';
  return `# Made by scripts/crds.ts: change what it is made from.\n${yaml.replace(/^metadata:\n/m, `metadata:\n  ${metadata}\n`)}`;
}

function openApi(shape: Shape, texts: ReadonlyMap<string, string>, at: string): OpenApi {
  const description = texts.get(at);
  const rules = shape.rules?.map(({ rule, message, field }) => ({
    rule,
    message,
    ...(field !== undefined && { fieldPath: `.${field}` }),
  }));
  return {
    ...(description !== undefined && { description }),
    ...form(shape, texts, at),
    ...(rules !== undefined && rules.length > 0 && { "x-kubernetes-validations": rules }),
  };
}

function form(shape: Shape, texts: ReadonlyMap<string, string>, at: string): OpenApi {
  switch (shape.type) {
    case "string":
      return {
        type: "string",
        ...(shape.words && { enum: shape.words }),
        // RE2 needs no escape before a slash.
        ...(shape.pattern && { pattern: shape.pattern.source.replaceAll("\\/", "/") }),
        ...(shape.maxLength !== null && { maxLength: shape.maxLength }),
      };
    case "number":
      return { type: shape.fractional ? "number" : "integer", minimum: shape.min, maximum: shape.max };
    case "boolean":
      return { type: "boolean" };
    case "stringMap":
      return { type: "object", additionalProperties: { type: "string" } };
    case "list":
      return {
        type: "array",
        ...(shape.min > 0 && { minItems: shape.min }),
        maxItems: shape.max,
        "x-kubernetes-list-type": "atomic",
        // What the guide says of a list is said at the list.
        items: openApi(shape.item, new Map([...texts].filter(([name]) => name !== at)), at),
      };
    case "object": {
      const fields = Object.entries(shape.fields);
      const required = fields.filter(([, field]) => field.required).map(([name]) => name);
      const below = (name: string) => (at === "" ? name : `${at}.${name}`);
      return {
        type: "object",
        ...(required.length > 0 && { required }),
        properties: Object.fromEntries(fields.map(([name, field]) => [name, openApi(field.shape, texts, below(name))])),
      };
    }
    default:
      throw new Error(`${at}: what is accepted here can't be said in a CRD (${shape.type})`);
  }
}

/** The first paragraph of the kind's section. */
function introduction(kind: OwnKind): string {
  return plain(section(kind).trim().split("\n\n", 1)[0] ?? "");
}

/** By dotted path below `spec`: what the table of the guide says, with the default where there is one. */
function descriptions(kind: OwnKind): ReadonlyMap<string, string> {
  const rows = [...section(kind).matchAll(/^\| `([A-Za-z.]+)` \| (.*?) ?\| (.*?) ?\|$/gm)];
  return new Map(
    rows.flatMap(([, field = "", meaning = "", fallback = ""]) => {
      const end = fallback === "" || fallback.startsWith("required") ? "" : ` (default: ${plain(fallback)})`;
      const text = `${meaning.startsWith("`") ? plain(meaning) : capitalized(plain(meaning))}${end}`.trim();
      return text === "" ? [] : [[field, text] as const];
    }),
  );
}

function section(kind: OwnKind): string {
  return readFileSync(GUIDE, "utf8").split(`\n## ${kind}\n`)[1]?.split("\n## ")[0] ?? "";
}

/** Without Markdown's links and code marks. */
function plain(markdown: string): string {
  return markdown
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll("`", "")
    .replaceAll("\n", " ")
    .trim();
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
