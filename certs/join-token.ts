/**
 * One-time join tokens: how a workload without a certificate proves who it is. A token is a random secret; the control
 * plane's state directory holds only its hash, with the identity that it stands for. Being able to write there is the
 * proof that a process of the same user on the same machine needs no token from anybody: it mints one itself.
 */
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import path from "node:path";
import type { Clock } from "../core/clock.ts";
import { codeOf } from "../core/errors.ts";
import type { Identity } from "../model/identity.ts";
import { bundleFile } from "./ca-directory.ts";
import { parseCertificates } from "./inspect.ts";
import { spkiSha256 } from "./key.ts";
import { ensurePrivateDir, fileError, readPrivateFile, writePrivateFile } from "./state-dir.ts";

const PREFIX = "orj1";

/** A token as its bearer reads it: `orj1.<secret>.<pin>[.<pin>…]`, each part base64url. */
export interface JoinToken {
  readonly secret: string;
  /** SHA-256 of the SPKI of each root that the mesh trusted when the token was made. */
  readonly rootPins: readonly Buffer[];
}

/** null for a text that is not a join token. */
export function parseJoinToken(text: string): JoinToken | null {
  const [prefix, secret, ...pins] = text.trim().split(".");
  if (prefix !== PREFIX || secret === undefined || !/^[A-Za-z0-9_-]{43}$/.test(secret) || pins.length === 0)
    return null;
  if (!pins.every((pin) => /^[A-Za-z0-9_-]{43}$/.test(pin))) return null;
  return { secret, rootPins: pins.map((pin) => Buffer.from(pin, "base64url")) };
}

/** The pins of the roots in `<stateDir>/ca/bundle.pem`. Throws a UserError when there is no bundle to read. */
export function readRootPins(stateDir: string): readonly Buffer[] {
  const bundle = readPrivateFile(bundleFile(stateDir), "trust bundle");
  return parseCertificates(bundle).map((certificate) => spkiSha256(certificate.publicKey));
}

/** Why a token was refused; safe to tell its bearer. */
export class JoinTokenError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "JoinTokenError";
  }
}

interface TokenRecord extends Identity {
  /** Unix ms. */
  readonly expiresAt: number;
}

export class JoinTokens {
  readonly #dir: string;
  readonly #clock: Clock;

  /** Uses `<stateDir>/join-tokens`. Throws a UserError when it cannot be had or is open to others. */
  constructor(stateDir: string, clock: Clock) {
    this.#dir = path.join(stateDir, "join-tokens");
    this.#clock = clock;
    ensurePrivateDir(this.#dir);
  }

  /** A new token for `identity`, good once within `ttlMs`. */
  mint(identity: Identity, ttlMs: number, rootPins: readonly Buffer[]): string {
    const secret = randomBytes(32).toString("base64url");
    const { trustDomain, namespace, serviceAccount } = identity;
    const record: TokenRecord = { trustDomain, namespace, serviceAccount, expiresAt: this.#clock.wallTime() + ttlMs };
    writePrivateFile(this.#file(secret), JSON.stringify(record), "join token");
    return [PREFIX, secret, ...rootPins.map((pin) => pin.toString("base64url"))].join(".");
  }

  /**
   * The identity that the token stands for; it is used up by this call, even when it turns out to be expired. Of any
   * number of concurrent calls, in this or other processes, one succeeds: renaming the file is the claim.
   * Throws a JoinTokenError.
   */
  redeem(text: string): Identity {
    const token = parseJoinToken(text);
    if (!token) throw new JoinTokenError("this is not a join token");
    const file = this.#file(token.secret);
    const claimed = path.join(this.#dir, `.claimed-${randomBytes(8).toString("hex")}`);
    try {
      fs.renameSync(file, claimed);
    } catch (error) {
      if (codeOf(error) === "ENOENT")
        throw new JoinTokenError("the join token is unknown, was used already, or has expired");
      throw fileError("claim the join token", file, error);
    }
    try {
      const record = toRecord(readPrivateFile(claimed, "join token"));
      if (record.expiresAt <= this.#clock.wallTime()) {
        throw new JoinTokenError(
          `the join token expired at ${new Date(record.expiresAt).toISOString()} (control plane's clock: ${new Date(this.#clock.wallTime()).toISOString()})`,
        );
      }
      const { trustDomain, namespace, serviceAccount } = record;
      return { trustDomain, namespace, serviceAccount };
    } finally {
      fs.rmSync(claimed, { force: true });
    }
  }

  /** Deletes expired tokens; returns how many. */
  sweep(): number {
    let removed = 0;
    for (const name of fs.readdirSync(this.#dir)) {
      if (!name.endsWith(".json")) continue;
      const file = path.join(this.#dir, name);
      try {
        if (toRecord(readPrivateFile(file, "join token")).expiresAt > this.#clock.wallTime()) continue;
        fs.unlinkSync(file);
        removed++;
      } catch {
        // Claimed meanwhile, or not ours to judge: redeeming it will say what is wrong.
      }
    }
    return removed;
  }

  #file(secret: string): string {
    return path.join(this.#dir, `${createHash("sha256").update(secret).digest("hex")}.json`);
  }
}

function toRecord(text: string): TokenRecord {
  let record: Partial<TokenRecord> | null;
  try {
    record = JSON.parse(text) as Partial<TokenRecord> | null;
  } catch {
    record = null;
  }
  const texts = [record?.trustDomain, record?.namespace, record?.serviceAccount];
  if (texts.some((part) => typeof part !== "string") || typeof record?.expiresAt !== "number") {
    throw new JoinTokenError("the join token's record is damaged");
  }
  return record as TokenRecord;
}
