import type { DemoFlags } from "../demo-command.ts";
export async function runDemo(_flags: DemoFlags): Promise<void> {}
