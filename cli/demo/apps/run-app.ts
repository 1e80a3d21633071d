/** `outrigger demo-app NAME PORT [INSTANCE]`: which program of the demo to be. */
import { UserError } from "../../../core/errors.ts";
import { journal } from "./journal.ts";
import { orders } from "./orders.ts";
import type { FindPeer } from "./peer.ts";
import { prices } from "./prices.ts";
import { shop } from "./shop.ts";
import { stock } from "./stock.ts";
import { visitor } from "./visitor.ts";

/** `find`: how it finds the services that it calls. */
export function runApp(name: string, port: number, instance: string, find: FindPeer): void {
  if (name === "shop") shop(port, find);
  else if (name === "orders") orders(port, instance, find);
  else if (name === "prices") prices(port, instance, find);
  else if (name === "stock") stock(port, instance);
  else if (name === "journal") journal(port, instance);
  else if (name === "visitor") visitor(port);
  else throw new UserError(`the demo has no program "${name}"`, 2);
}
