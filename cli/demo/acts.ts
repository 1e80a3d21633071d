/** What happens in the demo that runs without end: calm, and a fault, in turn. */
import { ordersRetries, ordersRoute } from "./manifests.ts";
import type { DemoMesh } from "./mesh.ts";

export interface Act {
  readonly title: string;
  readonly ms: number;
  begin(mesh: DemoMesh): Promise<unknown>;
  end(mesh: DemoMesh): Promise<unknown>;
}

const nothing = async (): Promise<void> => undefined;

function calm(ms: number): Act {
  return { title: "all is well; orders split 90/10 between v1 and v2", ms, begin: nothing, end: nothing };
}

export const ACTS: readonly Act[] = [
  calm(8000),
  {
    title: "stock-2 hangs: calls are tried again at stock-1, and stock-2 is left out",
    ms: 8000,
    begin: (mesh) => mesh.cue("stock-2", { stalled: true }),
    end: (mesh) => mesh.cue("stock-2"),
  },
  calm(8000),
  {
    title: "all calls go to orders-v2, which fails 30 % of them",
    ms: 8000,
    async begin({ controlPlane, cue, transparent }) {
      await controlPlane.apply("orders-route", ordersRoute(0, 100, transparent));
      await cue("orders-v2", { failPercent: 30 });
    },
    end: nothing,
  },
  {
    title: "a ResiliencePolicy was written: five attempts for calls to orders",
    ms: 8000,
    begin: ({ controlPlane }) => controlPlane.apply("orders-retries", ordersRetries(5)),
    async end({ controlPlane, cue, transparent }) {
      await cue("orders-v2");
      await controlPlane.apply("orders-retries", null);
      await controlPlane.apply("orders-route", ordersRoute(90, 10, transparent));
    },
  },
  calm(5000),
  {
    title: "the control plane was killed; it comes back in three seconds",
    ms: 3000,
    begin: ({ controlPlane }) => controlPlane.kill(),
    end: ({ controlPlane }) => controlPlane.start(),
  },
];
