/**
 * What the Containerfile says of a target, for the image that is built without it: one place says how the image is
 * started. Understood are the instructions that ours has; any other is an error, not a difference between two images.
 */

/** `config` of an image (OCI image specification, "Image Configuration"). */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
}

/** Throws where there is no such target, or it does what is not understood. */
export function targetConfig(containerfile: string, target: string): ImageConfig {
  const instructions = instructionsOf(containerfile);
  const from = instructions.findIndex(
    ({ name, value }) => name === "FROM" && new RegExp(`^scratch AS ${target}$`, "i").test(value),
  );
  if (from === -1) throw new Error(`the Containerfile has no target "${target}" FROM scratch`);
  const rest = instructions.slice(from + 1);
  const next = rest.findIndex(({ name }) => name === "FROM");
  let config: ImageConfig = { User: "", Env: [], Entrypoint: [], WorkingDir: "/" };
  for (const { name, value } of next === -1 ? rest : rest.slice(0, next)) {
    if (name === "USER") config = { ...config, User: value };
    else if (name === "ENV") config = { ...config, Env: [...config.Env, ...value.split(/\s+/)] };
    else if (name === "WORKDIR") config = { ...config, WorkingDir: value };
    else if (name === "ENTRYPOINT") config = { ...config, Entrypoint: JSON.parse(value) as string[] };
    else if (name !== "COPY") throw new Error(`the Containerfile's ${name} is not understood`);
  }
  return config;
}

function instructionsOf(text: string): readonly { name: string; value: string }[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .flatMap((line) => {
      const [, name = "", value = ""] = /^(\w+)\s+(.*?)\s*$/.exec(line) ?? [];
      return name === "" ? [] : [{ name: name.toUpperCase(), value }];
    });
}
