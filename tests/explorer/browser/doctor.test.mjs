// The doctor: clients that are broken on purpose, pasted as a URL, as a curl command or as a string to sign.

import assert from "node:assert/strict";

import { inBrowser } from "./cases.mjs";
import { SECRET, fill, open, origin, run, typeKey } from "./explorer.mjs";
import { escape, macWithoutAmpersand, signV1, signV3 } from "./signer.mjs";

const it = inBrowser();
const call = { origin, action: "DescribeCdnService", version: "2018-05-10", keyId: "testid-opened", secret: SECRET };

/** Asks the doctor, and returns its text. */
async function ask(page, text, { own, secret = SECRET } = {}) {
  await page.fill("#doctor-text", text);
  await page.fill("#doctor-own", own ?? "");
  await page.fill("#doctor-secret", secret);
  await page.locator("#doctor-result").evaluate((element) => element.replaceChildren());
  const [answer] = await Promise.all([
    page.waitForResponse((response) => new URL(response.url()).pathname === "/explorer/explain"),
    page.click("#explain"),
  ]);
  assert.equal(answer.status(), 200, await answer.text());
  const explained = await answer.json();
  await page.waitForFunction(() => document.querySelector("#doctor-result").textContent.trim().length > 20);
  return { explained, shown: await page.locator("#doctor-result").innerText() };
}

const without = (from, to) => ({ encode: (text) => escape(text).replaceAll(from, to) });
const noted = (Note, breaks) => signV1({ ...call, parameters: { Note }, breaks }).url;
const newline = /secret ends with a line end/;

// What is broken, the pasted text, and what the doctor says. The server refuses each of these requests.
const BROKEN = [
  ["a blank signed as +", noted("a b", without("%20", "+")), /blank is encoded as \+/],
  ["an asterisk not encoded", noted("a*b", without("%2A", "*")), /\* is not encoded/],
  ["a tilde encoded", noted("a~b", without("~", "%7E")), /~ is encoded/],
  ["no & after the secret", signV1({ ...call, breaks: { mac: macWithoutAmpersand } }).url, /& after the secret is missing/],
  ["another method signed", signV1({ ...call, breaks: { method: "POST" } }).url, /signed another method: POST/],
  ["a line feed after the secret", signV1({ ...call, secret: `${SECRET}\n` }).url, newline],
  ["a line feed after the secret, V3", signV3({ ...call, secret: `${SECRET}\n` }).curl, newline],
  ["an & after the secret, V3", signV3({ ...call, secret: `${SECRET}&` }).curl, /& is appended to the secret/],
];

for (const [name, broken, says] of BROKEN) {
  it(`${name}: the doctor names the cause`, async (page) => {
    const curl = broken.startsWith("curl") ? broken : `curl '${broken}'`;
    assert.equal(await codeOf(curl), "SignatureDoesNotMatch");
    await open(page);
    const { shown, explained } = await ask(page, curl);
    assert.match(shown, says);
    const steps = await page.locator("#doctor-result pre").allTextContents();
    for (const { text } of explained.steps) assert.ok(steps.includes(text), text);
    assert.match(explained.steps.at(-1).text, name.endsWith("V3") ? /^ACS3-HMAC-SHA256\n/ : /^GET&%2F&/);
  });
}

/** Sends a curl command of this file as `curl` does, and returns the code of the refusal. */
async function codeOf(curl) {
  const url = /'(http[^']*)'/.exec(curl)[1];
  const headers = Object.fromEntries([...curl.matchAll(/-H '([^:']+): ([^']*)'/g)].map(([, name, value]) => [name, value]));
  const reply = await fetch(url, { headers: { ...headers, accept: "application/json" } });
  return /SignatureDoesNotMatch/.exec(await reply.text())?.[0];
}

it("a secret that is pasted with its line feed is named, too", async (page) => {
  const secret = `${SECRET}\n`;
  await open(page);
  const { shown } = await ask(page, signV1({ ...call, secret }).url, { secret });
  assert.match(shown, newline);
});

it("a right signature is called right, as a URL and as a curl command", async (page) => {
  await open(page);
  for (const text of [signV1(call).url, `curl '${signV1(call).url}'`, signV3(call).curl]) {
    const { shown, explained } = await ask(page, text);
    assert.ok(explained.candidates.some(({ code }) => code === "correct"));
    assert.match(shown, /signature is correct/);
  }
});

it("the first byte that differs from the client's own string is shown", async (page) => {
  const signed = signV1({ ...call, parameters: { Note: "a b" }, breaks: without("%20", "+") });
  await open(page);
  const { explained, shown } = await ask(page, signed.url, { own: signed.stringToSign });
  // The client has %2B where the server has %2520.
  assert.equal(explained.difference.at, signed.stringToSign.indexOf("%2B") + "%2".length);
  assert.match(shown, new RegExp(String(explained.difference.column)));
  assert.match(shown, /%2520/);
});

it("a run with a wrong secret is explained from the request that the page shows", async (page) => {
  await open(page);
  await fill(page, { product: "cdn", action: "DescribeCdnService", signature: "V1", method: "GET" });
  await typeKey(page, "testid-opened", `${SECRET} `);
  const reply = await run(page);
  assert.equal(JSON.parse(reply.body).Code, "SignatureDoesNotMatch");
  const { shown } = await ask(page, reply.request.url(), { secret: `${SECRET} ` });
  assert.match(shown, /blank/i);
});

it("text that is not a request is refused with a sentence", async (page) => {
  await open(page);
  await page.fill("#doctor-text", "hello");
  await page.click("#explain");
  await page.waitForFunction(() => document.querySelector("#doctor-result").textContent.trim().length > 10);
});

it("the doctor speaks Chinese", async (page) => {
  await open(page, "?lang=zh");
  const { shown } = await ask(page, signV1({ ...call, secret: `${SECRET}\n` }).url);
  assert.match(shown, /换行|行尾|行结束/);
});
