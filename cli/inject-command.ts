/** `outrigger inject`: manifests with sidecars, for pods that the webhook does not see. */
import { type Command, Option } from "commander";
import type { InterceptionMode } from "../control-plane/injector/settings.ts";

export interface InjectFlags {
  readonly settings?: string;
  readonly image?: string;
  readonly controlPlane?: string;
  readonly trustDomain?: string;
  readonly interception?: InterceptionMode;
  readonly namespace: string;
}

export function addInjectCommand(program: Command): void {
  program
    .command("inject")
    .description("write manifests whose pods have sidecars, as the injector's webhook would make them")
    .option("--settings <file>", "the injector's settings, YAML or JSON")
    .option("--image <image>", "of the sidecar, over the settings")
    .option("--control-plane <host:port>", "its TLS port as pods reach it, over the settings")
    .option("--trust-domain <name>", "of the mesh, over the settings")
    .addOption(
      new Option("--interception <mode>", "over the settings; annotations of pods go before it").choices([
        "redirect",
        "tproxy",
        "none",
      ]),
    )
    .option("--namespace <name>", "of objects that name none", "default")
    .argument("<file>", "manifests, any number of documents, YAML or JSON; - for the standard input")
    .action(async (file: string, flags: InjectFlags) => {
      const { runInject } = await import("./inject/run-inject.ts");
      runInject(file, flags);
    });
}
