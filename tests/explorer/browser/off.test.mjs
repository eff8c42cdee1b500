// With EXPLORER=false, the paths of the explorer are answered as any other path is.

import assert from "node:assert/strict";
import { test } from "node:test";

import { startServer } from "./server.mjs";

const binary = process.env.EXPLORER_BINARY;

test("with EXPLORER=false, /explorer/ is as any other path", { skip: binary ? false : "no program was given" }, async () => {
  const server = await startServer(binary, { EXPLORER: "false" });
  try {
    const answer = async (path, method) => {
      const response = await fetch(`${server.origin}/${path}`, { method });
      const text = (await response.text()).replace(/[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}/, "id");
      return [response.status, response.headers.get("content-type"), response.headers.get("content-security-policy"), text];
    };
    for (const path of ["explorer/", "explorer", "explorer/actions.json", "explorer/errors/"]) {
      for (const method of ["GET", "POST"]) {
        assert.deepEqual(await answer(path, method), await answer("any/other/", method), `${method} ${path}`);
      }
    }
    const refusal = await (await fetch(`${server.origin}/?Action=No&Format=JSON`)).json();
    assert.equal(refusal.Recommend, undefined);
  } finally {
    assert.equal(await server.stop(), undefined);
  }
});
