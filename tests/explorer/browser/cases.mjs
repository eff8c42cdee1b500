// Tests that have a page of a browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, watch } from "./explorer.mjs";

/** Registers the tests of one file: `it(name, body)` with a new page for each, which must have no problem at its end. */
export function inBrowser() {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());
  return (name, options, body) => {
    const [settings, run] = body ? [options, body] : [{}, options];
    test(name, async (t) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-US", ...settings });
      context.setDefaultTimeout(10_000);
      const page = await context.newPage();
      const problems = await watch(page, settings.javaScriptEnabled);
      try {
        await run(page, t, context);
        assert.deepEqual(problems, []);
      } finally {
        await context.close();
      }
    });
  };
}
