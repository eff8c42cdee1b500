// The page itself: its link, languages, keyboard, widths, stability, size and headers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inBrowser } from "./cases.mjs";
import { SECRET, actionsOf, catalog, eachPanel, fill, loaded, open, origin, run, typeKey } from "./explorer.mjs";

const it = inBrowser();
const PATHS = ["", "errors/", "errors/LX_CREATE_ORDER_FAILED"];
const MOST_BYTES = 150_000;

it("the link restores the form, and has no key, secret or token", async (page) => {
  await open(page);
  await fill(page, { product: "cdn", action: "DescribeCdnUserBillType", signature: "V3", method: "POST", format: "XML" });
  await fill(page, { parameters: { StartTime: "2018-03-01T00:00:00Z", EndTime: "2018-03-02T00:00:00Z" } });
  await typeKey(page, "testid-opened", SECRET);
  const before = await run(page);
  await page.fill("#security-token", "a-token");
  const href = await page.locator("#link").evaluate((element) => element.href);
  for (const kept of ["testid-opened", SECRET, "a-token"]) assert.ok(!href.includes(kept), href);
  const query = Object.fromEntries(new URL(href).searchParams);
  const expected = { action: "DescribeCdnUserBillType", version: "2018-05-10", signature: "V3", method: "POST", format: "XML" };
  assert.deepEqual({ ...query, ...expected, StartTime: "2018-03-01T00:00:00Z" }, query);

  await page.goto(href);
  await loaded(page);
  for (const id of ["version", "signature", "method", "format"]) assert.equal(await page.inputValue(`#${id}`), expected[id]);
  assert.equal(await page.inputValue('#form [name="StartTime"]'), "2018-03-01T00:00:00Z");
  assert.equal(await page.inputValue('#form [name="EndTime"]'), "2018-03-02T00:00:00Z");
  await typeKey(page, "testid-opened", SECRET);
  const after = await run(page);
  const body = ({ body: text, requestId }) => text.replaceAll(requestId, "");
  assert.equal(body(after), body(before));
});

it("each action's own link opens it", async (page) => {
  for (const { name, product, parameters } of actionsOf(await catalog())) {
    await open(page, `?action=${name}`);
    const current = page.locator(`a[data-action="${name}"][data-product="${product}"]`);
    assert.equal(await current.getAttribute("aria-current"), "page", name);
    for (const parameter of parameters) {
      assert.ok(await page.locator(`#form [name="${parameter.name}"]`).isVisible(), parameter.name);
    }
  }
});

it("both languages have all texts, and the switch keeps the form", async (page) => {
  await open(page, "?lang=en");
  await fill(page, { product: "dcdn", action: "OpenDcdnService", parameters: { BillType: "PayByTraffic" } });
  const words = () => page.locator("body").innerText();
  assert.match(await page.locator("html").getAttribute("lang"), /^en/);
  const english = (await words()).replace(/中文|简体中文/g, "");
  assert.doesNotMatch(english, /\p{Script=Han}/u);
  await page.selectOption("#language", "zh");
  await page.waitForFunction(() => document.documentElement.lang.startsWith("zh"));
  await loaded(page);
  assert.equal(await page.inputValue('#form [name="BillType"]'), "PayByTraffic");
  assert.equal((await words()).includes("undefined"), false);
});

test("the two files of labels have the same names, and every comment is in Chinese", async () => {
  const names = async (lang) => Object.keys(await (await fetch(`${origin}/explorer/texts/${lang}.json`)).json());
  assert.deepEqual((await names("zh")).sort(), (await names("en")).sort());
  const untranslated = [];
  const visit = (value) => {
    if (value === null || typeof value !== "object") return;
    if (value.comment && !/\p{Script=Han}/u.test(value.comment)) untranslated.push(value.comment);
    Object.values(value).forEach(visit);
  };
  visit((await catalog("zh")).products);
  assert.deepEqual(untranslated, []);
});

/** Presses Tab until an element has the focus. Each element on the way must show that it has it. */
async function tabTo(page, selector) {
  for (let count = 0; count < 150; count += 1) {
    await page.keyboard.press("Tab");
    const [reached, visible, name] = await page.evaluate((wanted) => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
      const visible = ring || style.boxShadow !== "none" || element === document.body;
      return [element.matches(wanted), visible, element.outerHTML.slice(0, 90)];
    }, selector);
    assert.ok(visible, `the focus is not visible on ${name}`);
    if (reached) return;
  }
  assert.fail(`Tab does not reach ${selector}`);
}

it("a run needs the keyboard only", async (page) => {
  await open(page);
  await tabTo(page, 'a[data-action="DescribeUserDcdnStatus"]');
  await page.keyboard.press("Enter");
  await page.waitForSelector('a[data-action="DescribeUserDcdnStatus"][aria-current]');
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, "#account");
  await page.keyboard.press("ArrowDown");
  const byButton = await run(page, async () => {
    await tabTo(page, "#run");
    await page.keyboard.press("Enter");
  });
  assert.equal(byButton.httpStatus, 200, byButton.body);
  await page.focus("#format");
  const byShortcut = await run(page, () => page.keyboard.press("Control+Enter"));
  assert.equal(byShortcut.httpStatus, 200, byShortcut.body);
  await tabTo(page, "#doctor-text");
});

for (const width of [360, 768, 1920]) {
  it(`nothing scrolls sideways at ${width} px`, { viewport: { width, height: 800 } }, async (page) => {
    for (const path of PATHS) {
      for (const lang of ["en", "zh"]) {
        await page.goto(`${origin}/explorer/${path}?lang=${lang}`);
        if (path === "") {
          await loaded(page);
          await fill(page, { product: "dcdn", action: "DescribeDcdnService", account: "testid-opened" });
          await run(page);
        }
        await eachPanel(page, async (panel) => {
          const [content, view] = await page.evaluate(() => {
            return [document.documentElement.scrollWidth, document.documentElement.clientWidth];
          });
          assert.ok(content <= view, `/explorer/${path} (${lang}) ${panel} is ${content} px wide in ${view} px`);
        });
      }
    }
  });
}

it("nothing shifts while the page loads and during a run", async (page) => {
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const sources = entry.sources.map(({ node }) => node?.outerHTML?.slice(0, 80) ?? String(node));
        if (!entry.hadRecentInput) window.shifts.push({ value: entry.value, sources });
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  const check = async (when) => {
    await page.waitForTimeout(700); // A shift within 500 ms of an input is the input's.
    const shifts = await page.evaluate(() => window.shifts);
    const sum = shifts.reduce((total, { value }) => total + value, 0);
    assert.ok(sum < 0.01, `${when}: ${sum} ${JSON.stringify(shifts)}`);
  };
  for (const path of PATHS) {
    await page.goto(`${origin}/explorer/${path}`);
    await check(`/explorer/${path}`);
  }
  await open(page, "?action=DescribeDcdnService");
  await page.evaluate(() => {
    const send = window.fetch;
    window.fetch = async (...given) => {
      await new Promise((done) => setTimeout(done, 700)); // A reply that comes after the input.
      return send(...given);
    };
  });
  await fill(page, { account: "testid-opened" });
  await run(page);
  await check("a run");
});

it("without a script, the first reply has the actions and their comments", { javaScriptEnabled: false }, async (page) => {
  await page.goto(`${origin}/explorer/?lang=en`);
  for (const { name, product } of actionsOf(await catalog())) {
    assert.ok(await page.locator(`a[data-action="${name}"][data-product="${product}"]`).isVisible(), name);
  }
});

it("everything that the page loads is below 150 KB together", async (page) => {
  const sizes = new Map();
  const reads = [];
  page.on("response", (response) => {
    reads.push(response.body().then((body) => sizes.set(new URL(response.url()).pathname, body.length)));
  });
  await open(page);
  await fill(page, { product: "cdn", action: "DescribeCdnService", account: "testid-opened" });
  await run(page);
  await page.fill("#doctor-text", "GET&%2F&");
  await page.click("#explain");
  await page.waitForTimeout(300);
  await Promise.all(reads);
  const own = [...sizes].filter(([path]) => path.startsWith("/explorer"));
  const total = own.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(total < MOST_BYTES, `${total} bytes: ${JSON.stringify(own)}`);
});

test("every reply below /explorer/ has the headers that protect it", async () => {
  const files = ["style.css", "js/page.js", "texts/en.json", "texts/zh.json", "samples.json", "actions.json", "openapi.json"];
  for (const path of [...PATHS, ...files, "no-such-page"]) {
    const response = await fetch(`${origin}/explorer/${path}`);
    assert.equal(response.status, path === "no-such-page" ? 404 : 200, path);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'self'/, path);
    assert.match(policy, /frame-ancestors 'none'/, path);
    assert.doesNotMatch(policy, /unsafe/, path);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(response.headers.get("referrer-policy"), "no-referrer", path);
    if (response.status !== 200) continue;
    const again = await fetch(`${origin}/explorer/${path}`, { headers: { "if-none-match": response.headers.get("etag") } });
    assert.equal(again.status, 304, path);
  }
});

test("the address without a slash leads to the page, and only reads are allowed", async () => {
  const response = await fetch(`${origin}/explorer`, { redirect: "manual" });
  assert.equal(response.status, 308);
  assert.equal(response.headers.get("location"), "/explorer/");
  assert.ok((await fetch(`${origin}/explorer/`, { method: "DELETE" })).status >= 400);
});
