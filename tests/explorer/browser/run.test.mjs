// Runs of the form: each action, both signatures, both methods, both formats, and what the result shows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { inBrowser } from "./cases.mjs";
import { SECRET, actionsOf, catalog, fill, filling, open, origin, run, shown, typeKey, withoutId } from "./explorer.mjs";
import { macV1, macV3 } from "./signer.mjs";

const it = inBrowser();
const described = { product: "dcdn", action: "DescribeDcdnService", account: "testid-opened" };

test("the catalog has every action of the service", async () => {
  const names = actionsOf(await catalog()).map(({ name }) => name);
  assert.deepEqual(names.sort(), [
    "DescribeCdnService",
    "DescribeCdnUserBillType",
    "DescribeDcdnService",
    "DescribeDcdnUserBillType",
    "DescribeUserCdnStatus",
    "DescribeUserDcdnStatus",
    "ModifyCdnService",
    "OpenCdnService",
    "OpenDcdnService",
  ]);
});

it("each action of each version runs", async (page, t) => {
  const list = actionsOf(await catalog());
  // The actions that open are the first, because others need what they open.
  const rank = ({ name, writes }) => (name.startsWith("Open") ? 0 : writes ? 1 : 2);
  list.sort((one, other) => rank(one) - rank(other));
  await open(page);
  for (const action of list) {
    // A product opens once for an account, and only there in one version.
    const versions = rank(action) === 0 ? action.versions.slice(0, 1) : action.versions;
    for (const version of versions) {
      await t.test(`${action.name} ${version}`, async () => {
        await fill(page, { product: action.product, action: action.name, account: "testid", parameters: filling(action) });
        if (action.versions.length > 1) await page.selectOption("#version", version);
        const reply = await run(page);
        assert.equal(reply.httpStatus, 200, reply.body);
        assert.match(reply.status, /200/);
        const names = action.reply.fields.map(({ name }) => name);
        for (const name of Object.keys(JSON.parse(reply.json))) assert.ok(names.includes(name), `the catalog has no ${name}`);
        assert.match(reply.sent, new RegExp(version));
      });
    }
  }
});

for (const signature of ["V1", "V3"]) {
  for (const method of ["GET", "POST"]) {
    for (const format of ["JSON", "XML"]) {
      it(`${signature} ${method} ${format} shows the reply, the request and the steps of the signature`, async (page) => {
        await open(page);
        await fill(page, { ...described, signature, method, format });
        const reply = await run(page);
        assert.equal(reply.httpStatus, 200, reply.body);
        assert.equal(reply.request.method(), method);
        assert.match(reply.status, /200/);
        assert.match(reply.duration, /\d/);
        assert.match(reply.headers.toLowerCase(), /content-type/);
        checkFormats(reply, format);
        checkSteps(reply, signature, method);
      });
    }
  }
}

function checkFormats(reply, format) {
  const json = JSON.parse(reply.json);
  assert.match(reply.xml, /<DescribeDcdnServiceResponse>/);
  assert.match(reply.xml, new RegExp(`<RequestId>${reply.requestId}</RequestId>`));
  assert.equal(json.RequestId, reply.requestId);
  assert.equal(json.OpeningTime, "2018-03-19T11:16:11Z");
  assert.deepEqual(json.OperationLocks, { LockReason: [{ LockReason: "financial" }] });
  const lock = "<LockReason><LockReason>financial</LockReason></LockReason>";
  assert.ok(squeezed(reply.xml).includes(`<OperationLocks>${lock}</OperationLocks>`), reply.xml);
  if (format === "JSON") assert.deepEqual(json, JSON.parse(reply.body));
  else assert.equal(squeezed(reply.xml), squeezed(reply.body));
}

function squeezed(xml) {
  return xml.replace(/>\s+</g, "><").replace(/<\?xml[^>]*>/, "").trim();
}

function checkSteps(reply, signature, method) {
  const sent = `${reply.request.url()}&${reply.request.postData() ?? ""}`;
  assert.match(reply.sent, new RegExp(`^${method} `));
  if (signature === "V1") {
    assert.ok(reply.stringToSign.startsWith(`${method}&%2F&`), reply.stringToSign);
    const mac = macV1(SECRET, reply.stringToSign);
    assert.ok(reply.mac.includes(mac), `${reply.mac} lacks ${mac}`);
    assert.ok(sent.includes(encodeURIComponent(mac)), `${sent} lacks ${mac}`);
    assert.match(reply.canonical, /AccessKeyId=testid-opened&Action=DescribeDcdnService/);
  } else {
    assert.match(reply.stringToSign, /^ACS3-HMAC-SHA256\n[0-9a-f]{64}$/);
    const mac = macV3(SECRET, reply.stringToSign);
    assert.ok(reply.mac.includes(mac), `${reply.mac} lacks ${mac}`);
    assert.ok(reply.request.headers().authorization.endsWith(`Signature=${mac}`));
    assert.ok(reply.canonical.startsWith(`${method}\n/\n`), reply.canonical);
  }
}

it("JSON made from XML is the JSON of the server, and XML made from JSON its XML", async (page) => {
  const list = actionsOf(await catalog()).filter(({ writes }) => !writes);
  await open(page);
  for (const action of list) {
    const form = { product: action.product, action: action.name, account: "testid-opened", parameters: filling(action) };
    await fill(page, { ...form, format: "JSON" });
    const first = await run(page);
    await fill(page, { ...form, format: "XML" });
    const second = await run(page);
    assert.deepEqual(withoutId(second.json), withoutId(first.body), action.name);
    const xml = (text, { requestId }) => squeezed(text).replace(requestId, "");
    assert.equal(xml(first.xml, first), xml(second.body, second), action.name);
  }
});

for (const signature of ["V1", "V3"]) {
  it(`with a wrong secret, ${signature} shows the steps that the server prints`, async (page) => {
    await open(page);
    await fill(page, { ...described, account: undefined, signature });
    await typeKey(page, "testid-opened", "another");
    const reply = await run(page);
    assert.equal(reply.httpStatus, 400);
    const { Code, Message } = JSON.parse(reply.body);
    assert.equal(Code, "SignatureDoesNotMatch");
    if (signature === "V1") {
      assert.equal(Message.split("server string to sign is:")[1], reply.stringToSign);
    } else {
      const texts = /StringToSign is \[(.*)\] server CanonicalRequest is \[(.*)\]$/s.exec(Message);
      assert.deepEqual([texts[1], texts[2]], [reply.stringToSign, reply.canonical]);
    }
  });
}

it("a key with a token is sent with its token", async (page) => {
  await open(page);
  await fill(page, { ...described, account: undefined });
  await typeKey(page, "testid-opened", SECRET, "a token");
  const reply = await run(page);
  assert.match(`${reply.request.url()} ${reply.request.postData()}`, /SecurityToken=a(%20|\+)token/);
});

it("the history restores the form and the result", async (page) => {
  await open(page);
  await fill(page, { product: "cdn", action: "DescribeUserCdnStatus", account: "testid-opened", signature: "V3", format: "XML" });
  const first = await run(page);
  await fill(page, { ...described, signature: "V1", format: "JSON" });
  await run(page);
  assert.equal(await page.locator("#history li").count(), 2);
  const entries = page.locator("#history li button");
  const older = (await entries.nth(1).textContent()).includes("DescribeUserCdnStatus") ? 1 : 0;
  await entries.nth(older).click();
  await page.waitForFunction((id) => document.querySelector("#request-id").textContent.includes(id), first.requestId);
  assert.deepEqual(await shown(page), { ...(await shown(page)), json: first.json, stringToSign: first.stringToSign });
  assert.equal(await page.inputValue("#signature"), "V3");
  assert.equal(await page.inputValue("#format"), "XML");
});

it("no store of the browser has the key after a run", async (page, t, context) => {
  await open(page);
  await fill(page, { ...described, account: undefined });
  await typeKey(page, "testid-opened", SECRET);
  await run(page);
  assert.deepEqual(await context.cookies(), []);
  const kept = await page.evaluate(async () => ({
    stores: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, history.state, location.href]),
    databases: (await indexedDB.databases()).length,
    caches: (await caches.keys()).length,
  }));
  assert.doesNotMatch(kept.stores, /testid-opened|testsecret/);
  assert.deepEqual([kept.databases, kept.caches], [0, 0]);
  await page.reload({ waitUntil: "networkidle" });
  assert.doesNotMatch(await page.inputValue("#key-secret"), /testsecret/);
});

it("every request that the page makes is of this origin", async (page) => {
  const seen = new Set();
  page.on("request", (request) => seen.add(new URL(request.url()).origin));
  await open(page);
  await fill(page, described);
  await run(page);
  assert.deepEqual([...seen], [origin]);
});
