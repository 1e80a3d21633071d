/** `outrigger demo-app NAME PORT [INSTANCE]`: which program of the demo to be. */
import { UserError } from "../../../core/errors.ts";
import { orders } from "./orders.ts";
import { prices } from "./prices.ts";
import { shop } from "./shop.ts";
import { stock } from "./stock.ts";

export function runApp(name: string, port: number, instance: string): void {
  if (name === "shop") shop(port);
  else if (name === "orders") orders(port, instance);
  else if (name === "prices") prices(port, instance);
  else if (name === "stock") stock(port, instance);
  else throw new UserError(`the demo has no program "${name}"`, 2);
}
