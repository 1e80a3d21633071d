/** Point 7, of the transparent mesh alone: a protocol that is not HTTP, in which the server speaks first. */
import { entered, greeting } from "../apps/journal.ts";
import { type JournalResult, writeJournal } from "../journal-call.ts";
import { duration } from "../report.ts";
import { scrape, sum } from "../scrape.ts";
import { callMany } from "../traffic.ts";
import type { Step } from "./step.ts";

const CALLS = 100;
const CONCURRENCY = 4;
const INSTANCES = ["journal-1", "journal-2"] as const;
/** Half each is to be expected; six standard deviations of 100 draws below. */
const LEAST_SHARE = 0.2;
const LINES = ["sold a shirt", "sold a hat"];

export const journalStep: Step = {
  title: "7. A TCP service whose server speaks first",
  async run({ mesh, report }) {
    const { visitor } = mesh.workloads;
    const opened = async (): Promise<number> =>
      sum(await scrape(visitor), "outrigger_tcp_connections_opened_total", {
        direction: "outbound",
        destination: "journal.default",
      });
    const before = await opened();
    const results = await callMany(() => writeJournal(mesh.visit("journal"), LINES), CALLS, CONCURRENCY);
    const failed = results.filter((result) => instanceOf(result) === null);
    const kinds = failed.length === 0 ? "" : `: ${failed[0]?.error ?? JSON.stringify(failed[0])}`;
    report.check(
      failed.length === 0,
      `${CALLS} connections to journal:7000, each greeted, answered and ended by both sides: ${failed.length} failed${kinds}`,
      "none may fail",
    );
    const shares = INSTANCES.map((name) => results.filter((result) => instanceOf(result) === name).length);
    report.check(
      shares.every((share) => share >= CALLS * LEAST_SHARE),
      `balanced by connection: ${INSTANCES.map((name, index) => `${name} ${shares[index]}`).join(", ")}`,
      `at least ${LEAST_SHARE * 100} % each`,
    );
    const counted = (await opened()) - before;
    report.check(counted === CALLS, `the visitor's sidecar counted ${counted} opaque connections`, `${CALLS}`);
    const waits = results.map(({ greetedMs }) => greetedMs).sort((a, b) => a - b);
    report.note(`the greeting took ${duration(waits[CALLS / 2] ?? 0)} (p50), ${duration(waits.at(-1) ?? 0)} at most`);
  },
};

/** Who took part in a conversation in which all went well; null for others. */
function instanceOf({ greeting: said, answers, ended, error }: JournalResult): string | null {
  const expected = LINES.map((line, index) => entered(index + 1, line));
  const well = error === null && ended && answers.join("\n") === expected.join("\n");
  return (well && INSTANCES.find((name) => said === greeting(name))) || null;
}
