// axe-core finds nothing on any page, in light and dark, wide and narrow.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

import { inBrowser } from "./cases.mjs";
import { SECRET, eachPanel, fill, open, origin, run } from "./explorer.mjs";
import { signV1 } from "./signer.mjs";

const it = inBrowser();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails with what axe-core finds. */
async function check(page, where) {
  await page.waitForTimeout(300); // Colours that change slowly are measured at their end.
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { preload: false });
    const told = ({ html, failureSummary }) => `${html} ${failureSummary}`;
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(told).join("; ")}`);
  });
  assert.deepEqual(found, [], where);
}

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 360]) {
    const settings = { colorScheme, viewport: { width, height: 800 } };
    const in_ = `${colorScheme}, ${width} px`;

    it(`the explorer before and after a run and a refusal (${in_})`, settings, async (page) => {
      await page.addInitScript(axe);
      await open(page);
      await check(page, "start");
      await fill(page, { product: "dcdn", action: "DescribeDcdnService", account: "testid-opened" });
      await run(page);
      await eachPanel(page, (panel) => check(page, `a run, ${panel}`));
      await fill(page, { product: "cdn", action: "OpenCdnService", account: "testid-bid" });
      await run(page);
      await check(page, "a refusal");
    });

    it(`the doctor (${in_})`, settings, async (page) => {
      await page.addInitScript(axe);
      await open(page, "?lang=zh");
      const call = { origin, action: "DescribeCdnService", version: "2018-05-10", keyId: "testid" };
      await page.fill("#doctor-text", signV1({ ...call, secret: `${SECRET}\n` }).url);
      await page.fill("#doctor-secret", SECRET);
      await page.click("#explain");
      await page.waitForFunction(() => document.querySelector("#doctor-result").textContent.trim().length > 20);
      await check(page, "an explanation");
    });

    it(`the error center (${in_})`, settings, async (page) => {
      await page.addInitScript(axe);
      for (const path of ["errors/?lang=en", "errors/?lang=zh", "errors/LX_CREATE_ORDER_FAILED?lang=zh", "no-such-page"]) {
        await page.route("**/no-such-page", async (route) => route.fulfill({ response: await route.fetch(), status: 200 }));
        await page.goto(`${origin}/explorer/${path}`);
        await check(page, path);
      }
    });
  }
}
