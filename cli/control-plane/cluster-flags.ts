/** The flags of a control plane that belongs to a cluster, and what of them does not go together. */
import { type Command, InvalidArgumentError } from "commander";
import { UserError } from "../../core/errors.ts";

export interface ClusterFlags {
  readonly namespace: string;
  readonly revision: string;
  readonly service: string;
  readonly clusterDomain: string;
  readonly lease: string;
  readonly caSecret: string;
  readonly rootsConfigMap: string;
  readonly tokenAudience: string;
  readonly webhookPort?: number;
  readonly webhookConfiguration?: string;
  readonly injectorSettings?: string;
}

/** Names of their attributes in commander's words. */
const OWN: Readonly<Record<keyof ClusterFlags, string>> = {
  namespace: "--namespace",
  revision: "--revision",
  service: "--service",
  clusterDomain: "--cluster-domain",
  lease: "--lease",
  caSecret: "--ca-secret",
  rootsConfigMap: "--roots-config-map",
  tokenAudience: "--token-audience",
  webhookPort: "--webhook-port",
  webhookConfiguration: "--webhook-configuration",
  injectorSettings: "--injector-settings",
};

/** RFC 1123, section 2.1, as Kubernetes takes it for names of Services and namespaces. */
function label(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) {
    throw new InvalidArgumentError("a name is needed: lower-case letters, digits and dashes, at most 63.");
  }
  return text;
}

/** A name of an object, or a domain. */
function subdomain(text: string): string {
  if (text.length > 253 || !text.split(".").every((part) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(part))) {
    throw new InvalidArgumentError("a name is needed: lower-case letters, digits, dashes and dots.");
  }
  return text;
}

function audience(text: string): string {
  if (!/^\S+$/.test(text)) throw new InvalidArgumentError("an audience is needed, without blanks.");
  return text;
}

export function addClusterOptions(command: Command, port: (text: string) => number): Command {
  return command
    .option("--namespace <name>", "with --kubernetes: the control plane's own", label, "outrigger-system")
    .option("--revision <name>", "with --kubernetes: its name among several of one mesh", label, "default")
    .option("--service <name>", "with --kubernetes: the Service that leads to it", label, "outrigger-control-plane")
    .option("--cluster-domain <name>", "with --kubernetes: DNS domain of the cluster", subdomain, "cluster.local")
    .option("--lease <name>", "with --kubernetes: the Lease whose holder leads", subdomain, "outrigger-leader")
    .option("--ca-secret <name>", "with --kubernetes: the Secret with the CA's keys", subdomain, "outrigger-ca")
    .option(
      "--roots-config-map <name>",
      "with --kubernetes: the ConfigMap of each namespace with the mesh's roots",
      subdomain,
      "outrigger-ca-roots",
    )
    .option("--token-audience <name>", "with --kubernetes: audience of the sidecars' tokens", audience, "outrigger-ca")
    .option("--webhook-port <port>", "with --kubernetes: the injector's webhook; none where none is given", port)
    .option("--webhook-configuration <name>", "its MutatingWebhookConfiguration; needed with --webhook-port", subdomain)
    .option("--injector-settings <file>", "what sidecars are like, YAML or JSON; with --webhook-port");
}

/** Throws a UserError (bad usage) for flags that say nothing beside the others. */
export function checkClusterFlags(command: Command): void {
  const given = (name: string): boolean => command.getOptionValueSource(name) === "cli";
  const complain = (message: string): never => {
    throw new UserError(message, 2);
  };
  if (command.getOptionValue("kubernetes") !== true) {
    const idle = Object.entries(OWN).flatMap(([name, flag]) => (given(name) ? [flag] : []));
    if (idle.length > 0) complain(`${idle.join(", ")}: only for a control plane of a cluster; add --kubernetes`);
    return;
  }
  if (!given("webhookPort")) {
    for (const name of ["webhookConfiguration", "injectorSettings"] as const) {
      if (given(name)) complain(`${OWN[name]} is about the webhook: say by --webhook-port where it is to listen`);
    }
  } else if (!given("webhookConfiguration")) {
    complain("--webhook-port needs --webhook-configuration: whose caBundle is to be kept?");
  }
}
