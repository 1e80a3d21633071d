/**
 * `status` of Outrigger's own kinds, as its controllers write it: conditions for the object as a whole, and, in the shape
 * of Gateway API's `PolicyStatus` (GEP-713), for each target by controller, whose words no other controller touches.
 */
const condition = {
  type: "object",
  required: ["type", "status", "reason", "message", "lastTransitionTime"],
  properties: {
    type: {
      description: "Accepted, ResolvedRefs or Programmed",
      type: "string",
      maxLength: 316,
      pattern:
        "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    },
    status: { type: "string", enum: ["True", "False", "Unknown"] },
    reason: {
      description: "One word for programs",
      type: "string",
      minLength: 1,
      maxLength: 1024,
      pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
    },
    message: { description: "A sentence for people: what is wrong, and what to do", type: "string", maxLength: 32768 },
    lastTransitionTime: { description: "When status last changed", type: "string", format: "date-time" },
    observedGeneration: {
      description: "The metadata.generation that this is about",
      type: "integer",
      format: "int64",
      minimum: 0,
    },
  },
};

const conditions = {
  type: "array",
  maxItems: 8,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["type"],
  items: condition,
};

const text = (maxLength: number) => ({ type: "string", maxLength });

export const STATUS = {
  description: "What the control plane has made of it",
  type: "object",
  properties: {
    observedGeneration: {
      description: "The newest metadata.generation that the control plane has read",
      type: "integer",
      format: "int64",
      minimum: 0,
    },
    conditions: { description: "Of the object as a whole", ...conditions },
    ancestors: {
      description: "Of each target, by controller",
      type: "array",
      maxItems: 16,
      "x-kubernetes-list-type": "atomic",
      items: {
        type: "object",
        required: ["ancestorRef", "controllerName", "conditions"],
        properties: {
          ancestorRef: {
            description: "The target",
            type: "object",
            required: ["name"],
            properties: {
              group: text(253),
              kind: text(63),
              namespace: text(63),
              name: text(253),
              sectionName: text(253),
              port: { type: "integer", format: "int32", minimum: 1, maximum: 65535 },
            },
          },
          controllerName: {
            description: "Whose words these are: of Outrigger, outrigger.dev/controller",
            ...text(253),
          },
          conditions,
        },
      },
    },
  },
} as const;
