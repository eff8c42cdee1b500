// Makes the images of docs/explorer.md, each 1280 x 800.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { SECRET, fill, launch, open, origin, run } from "./explorer.mjs";
import { signV1 } from "./signer.mjs";

const images = fileURLToPath(new URL("../../../docs/images/", import.meta.url));

/** Each state: the name of its image, the language of the browser, and how the page gets there. */
const STATES = [
  ["start", "en-US", (page) => open(page)],
  ["signature", "en-US", signature],
  ["doctor", "en-US", doctor],
  ["errors", "zh-CN", errors],
];

async function signature(page) {
  await open(page);
  await fill(page, { product: "dcdn", action: "DescribeDcdnService", account: "testid-opened", signature: "V1", method: "GET" });
  await run(page);
  await page.click("#tab-steps");
  // The panel scrolls by itself. Its end has the string to sign and the signature.
  await page.locator("#panel-steps").evaluate((panel) => panel.scrollTo(0, panel.scrollHeight));
}

async function doctor(page) {
  const call = { origin, action: "DescribeCdnService", version: "2018-05-10", keyId: "testid-opened", secret: `${SECRET}\n` };
  const { url, stringToSign } = signV1(call);
  await open(page);
  await page.fill("#doctor-text", `curl '${url}'`);
  await page.fill("#doctor-own", stringToSign);
  await page.fill("#doctor-secret", SECRET);
  await page.click("#explain");
  await page.waitForFunction(() => document.querySelector("#doctor-result").textContent.trim().length > 20);
  // The texts of the server make the page long enough that the doctor fills the window.
  await page.locator("#doctor-result details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
  await top(page, "#doctor");
}

async function errors(page) {
  await page.goto(`${origin}/explorer/errors/`);
}

/** Scrolls so that an element is the first that the window shows. */
function top(page, selector) {
  return page.locator(selector).evaluate((element) => scrollTo(0, element.getBoundingClientRect().top + scrollY - 16));
}

mkdirSync(images, { recursive: true });
const browser = await launch();
for (const [name, locale, prepare] of STATES) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale });
  const page = await context.newPage();
  await prepare(page);
  await page.evaluate(() => document.activeElement?.blur());
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(images, `explorer-${name}.png`) });
  await context.close();
}
await browser.close();
