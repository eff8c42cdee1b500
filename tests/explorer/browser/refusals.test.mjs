// The refusals of the demo accounts (docs/behaviour.md, "Demo accounts"), and the way from each to the error center.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inBrowser } from "./cases.mjs";
import { actionsOf, catalog, fill, filling, open, origin, run } from "./explorer.mjs";

const it = inBrowser();
// Access key, HTTP status, and the code of CDN and of DCDN if they differ.
const REFUSALS = [
  ["testid-bid", 403, "Forbidden.BidUser"],
  ["testid-intl", 403, "Forbidden.Intl"],
  ["testid-noname", 400, "NoRealNameAuthentication"],
  ["testid-noprofile", 400, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE", "IncompleteInformation"],
  ["testid-nopay", 400, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD"],
  ["testid-poor", 400, "InsufficientBalance"],
  ["testid-noorder", 400, "LX_CREATE_ORDER_FAILED"],
  ["testid-readonly", 403, "Forbidden.RAM"],
  ["testid-disabled", 400, "InvalidAccessKeyId.Inactive"],
  ["testid-opened", 400, "CdnService.HasOpened", "DcdnService.HasOpened"],
];

for (const [account, status, ofCdn, ofDcdn = ofCdn] of REFUSALS) {
  for (const [product, name, code] of [
    ["cdn", "OpenCdnService", ofCdn],
    ["dcdn", "OpenDcdnService", ofDcdn],
  ]) {
    it(`${account} is refused by ${name} with ${code}`, async (page) => {
      const action = actionsOf(await catalog()).find((one) => one.name === name);
      await open(page);
      await fill(page, { product, action: name, account, parameters: filling(action) });
      const reply = await run(page);
      assert.equal(reply.httpStatus, status, reply.body);
      assert.match(reply.status, new RegExp(status));
      assert.equal(JSON.parse(reply.json).Code, code);
      assert.match(reply.xml, new RegExp(`<Code>${code}</Code>`));
      await checkLink(page, reply, code);
    });
  }
}

test("the catalog names the refusals of the products as errors of the actions that open", async () => {
  const actions = actionsOf(await catalog());
  for (const [account, , ofCdn, ofDcdn = ofCdn] of REFUSALS) {
    // Every action can answer the refusals of an access key.
    if (["testid-readonly", "testid-disabled"].includes(account)) continue;
    for (const [name, code] of [
      ["OpenCdnService", ofCdn],
      ["OpenDcdnService", ofDcdn],
    ]) {
      const { errors } = actions.find((one) => one.name === name);
      assert.ok(errors.includes(code), `${name} lacks ${code}`);
    }
  }
});

/** The reply recommends the page of its code, and the result has a link to it. */
async function checkLink(page, reply, code) {
  const link = page.locator(`#result a[href*="errors/${code}"]`).first();
  const href = await link.evaluate((element) => element.href);
  const response = await page.request.get(href);
  assert.equal(response.status(), 200);
  assert.ok((await response.text()).includes(code));
  assert.equal(JSON.parse(reply.body).Recommend, `${origin}/explorer/errors/${code}`);
}
