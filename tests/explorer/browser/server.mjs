// Starts and ends `cdn-activation dev` with a scratch data directory and free ports.

import { spawn } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const READY = /^ready grpc=(\S+) rest=(\S+) ops=(\S+)$/m;
// Settings in the environment of a developer must not reach the server under test.
const SETTINGS = [
  "DATABASE_URL",
  "GRPC_ADDR",
  "REST_ADDR",
  "OPS_ADDR",
  "SERVICE_TOKEN_FILE",
  "GRANTS_FILE",
  "REFLECTION",
  "SEALING_KEY_FILE",
  "ORDER_ENDPOINT",
  "MINIMUM_BALANCE",
  "OVERDUE_GRACE",
  "TIMESTAMP_WINDOW",
  "EXPLORER",
  "EXPLORER_URL",
  "LOG",
];

/** Starts the server. Returns its addresses, and `stop`, which ends it and returns the problem with its end, if there is one. */
export async function startServer(binary, settings = {}) {
  const scratch = mkdtempSync(join(tmpdir(), "cdn-activation-explorer-"));
  chmodSync(scratch, 0o755); // A server that runs as root starts PostgreSQL as an unprivileged user.
  const logs = { out: join(scratch, "out"), err: join(scratch, "err") };
  const files = [openSync(logs.out, "w"), openSync(logs.err, "w")];
  const environment = { ...process.env };
  for (const name of SETTINGS) delete environment[name];
  const ports = ["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"];
  const child = spawn(binary, ["dev", "--data-dir", join(scratch, "data"), ...ports], {
    stdio: ["ignore", ...files],
    env: { ...environment, ...settings },
    detached: true,
  });
  files.forEach(closeSync);
  let ended;
  const end = new Promise((done) => {
    child.on("error", (error) => done((ended = error.message)));
    child.on("close", (status, signal) => done((ended = status ?? signal)));
  });

  const tail = () => Object.values(logs).map((path) => readFileSync(path, "utf8").split("\n").slice(-25).join("\n")).join("\n");
  const kill = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group has ended.
    }
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await Promise.race([end, sleep(20_000, undefined, { ref: false })]);
    const problem = ended === 0 ? undefined : `the server did not end with status 0 after SIGTERM, but with ${ended}\n${tail()}`;
    kill();
    rmSync(scratch, { recursive: true, force: true });
    return problem;
  };

  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => void stop().finally(() => process.exit(1)));
  }
  for (const limit = Date.now() + 90_000; Date.now() < limit; await sleep(50)) {
    const ready = READY.exec(readFileSync(logs.out, "utf8"));
    if (ready) return { origin: `http://${ready[2]}`, grpc: ready[1], ops: ready[3], stop };
    if (ended !== undefined) break;
  }
  const log = tail();
  await stop();
  throw new Error(`the server was not ready\n${log}`);
}
