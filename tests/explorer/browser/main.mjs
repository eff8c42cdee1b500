// Runs the tests, or makes the screenshots, against a server that it starts: main.mjs test|screenshots [BINARY] [TEST FILE..]
//
// Tests get the server in the environment: EXPLORER_ORIGIN, and EXPLORER_BINARY if it was started from a program.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { startServer } from "./server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const [what, ...given] = process.argv.slice(2);

/** Returns the BINARY of the command line, or undefined if a running server is named by EXPLORER_ORIGIN. */
function takeBinary() {
  if (process.env.EXPLORER_ORIGIN) return undefined;
  const binary = given.length > 0 && !given[0].endsWith(".mjs") ? given.shift() : undefined;
  return resolve(binary ?? process.env.CDN_ACTIVATION_BIN ?? join(here, "../../../target/debug/cdn-activation"));
}

/** Runs Node with arguments, and returns its exit status. */
function node(parameters, environment) {
  const child = spawn(process.execPath, parameters, { stdio: "inherit", env: { ...process.env, ...environment } });
  return new Promise((done) => child.on("close", (status) => done(status ?? 1)));
}

function testFiles() {
  if (given.length > 0) return given.map((name) => resolve(here, name));
  return readdirSync(here).filter((name) => name.endsWith(".test.mjs")).map((name) => join(here, name));
}

const binary = takeBinary();
const server = binary ? await startServer(binary) : undefined;
const environment = server ? { EXPLORER_ORIGIN: server.origin, EXPLORER_BINARY: binary } : {};
// The files share the demo accounts of one server, therefore they run one after another.
const tests = ["--test", "--test-reporter=spec", "--test-concurrency=1", "--test-timeout=300000"];
const parameters = what === "screenshots" ? [join(here, "screenshots.mjs")] : [...tests, ...testFiles()];
let status = await node(parameters, environment);
const problem = await server?.stop();
if (problem) {
  console.error(problem);
  status ||= 1;
}
process.exit(status);
