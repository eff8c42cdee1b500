// The error center: the list, its search, and the page of each code, in both languages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inBrowser } from "./cases.mjs";
import { origin } from "./explorer.mjs";

const it = inBrowser();
const at = (path, lang) => `${origin}/explorer/errors/${path}?lang=${lang}`;

for (const lang of ["en", "zh"]) {
  it(`the list finds LX_CREATE_ORDER_FAILED by its search (${lang})`, async (page) => {
    await page.goto(at("", lang));
    const all = await page.locator("tr[data-code]:visible").count();
    assert.ok(all > 30, `the list has ${all} codes`);
    await page.fill("#search", "create_order");
    assert.deepEqual(await page.locator("tr[data-code]:visible").evaluateAll((rows) => rows.map((row) => row.dataset.code)), [
      "LX_CREATE_ORDER_FAILED",
    ]);
    await page.fill("#search", "");
    assert.equal(await page.locator("tr[data-code]:visible").count(), all);
    await page.fill("#search", "no such text");
    assert.equal(await page.locator("tr[data-code]:visible").count(), 0);
    await page.fill("#search", "LX_CREATE");
    await page.click('tr[data-code="LX_CREATE_ORDER_FAILED"] a');
    await page.waitForURL(/errors\/LX_CREATE_ORDER_FAILED/);
    assert.match(await page.locator("h1").innerText(), /LX_CREATE_ORDER_FAILED/);
    const facts = await page.locator("dl").first().innerText();
    for (const fact of [/400/, /ABORTED/i, /Create order failed/, /OpenCdnService/, /OpenDcdnService/]) assert.match(facts, fact);
    assert.equal(/\p{Script=Han}/u.test(facts), lang === "zh");
  });

  test(`the page of every code answers, without a script (${lang})`, async () => {
    const list = await (await fetch(at("", lang))).text();
    const rows = [...list.matchAll(/<tr[^>]*data-code="([^"]+)"[\s\S]*?<\/tr>/g)];
    assert.ok(rows.length > 30, `the list has ${rows.length} codes`);
    for (const [row, code] of rows) {
      const href = /href="([^"]+)"/.exec(row)[1].replaceAll("&amp;", "&");
      const response = await fetch(new URL(href, at("", lang)));
      const text = await response.text();
      assert.equal(response.status, 200, code);
      assert.match(text, new RegExp(`<html[^>]*lang="${lang}`));
      assert.ok(/<h1[^>]*>([\s\S]*?)<\/h1>/.exec(text)[1].includes(code), `the heading of ${href} lacks ${code}`);
      const facts = /<dl[\s\S]*?<\/dl>/.exec(text)[0];
      assert.equal(/\p{Script=Han}/u.test(facts), lang === "zh", `${code}: the language of its texts`);
    }
  });
}

test("the list has every code of the catalog and of the documentation", async () => {
  const list = await (await fetch(at("", "en"))).text();
  const catalog = await (await fetch(`${origin}/explorer/actions.json`)).json();
  const codes = new Set([...list.matchAll(/data-code="([^"]+)"/g)].map(([, code]) => code));
  const named = catalog.products.flatMap(({ actions }) => actions.flatMap(({ errors }) => errors));
  assert.deepEqual(named.filter((code) => !codes.has(code)), []);
});

it("a code's page leads to the other language and to the list", async (page) => {
  await page.goto(at("InsufficientBalance", "en"));
  await page.click('a[hreflang^="zh"], a[href*="lang=zh"]');
  await page.waitForURL(/lang=zh/);
  assert.match(await page.locator("html").getAttribute("lang"), /^zh/);
  assert.match(await page.locator("h1").innerText(), /InsufficientBalance/);
});

test("a code that does not exist is answered with 404", async () => {
  const response = await fetch(at("NoSuchCode", "en"));
  assert.equal(response.status, 404);
  assert.match(response.headers.get("content-type"), /text\/html/);
});

test("the language is the browser's if the address has none", async () => {
  for (const [accepts, lang] of [
    ["zh-CN,zh;q=0.9,en;q=0.5", "zh"],
    ["de,en;q=0.5", "en"],
  ]) {
    const text = await (await fetch(`${origin}/explorer/errors/`, { headers: { "accept-language": accepts } })).text();
    assert.match(text, new RegExp(`<html[^>]*lang="${lang}`));
  }
});
