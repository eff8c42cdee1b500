// The explorer's pages as the tests and the screenshots use them: a browser, a page that is watched for problems, and the form.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

export const origin = process.env.EXPLORER_ORIGIN;
/** Every demo account has this secret. */
export const SECRET = "testsecret";
const SPAN = { StartTime: "2018-03-01T00:00:00Z", EndTime: "2018-03-20T00:00:00Z" };

/** Starts Chromium. Its sandbox does not run as root. */
export function launch() {
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: [...args, "--disable-dev-shm-usage"] });
}

/** Returns the catalog of actions that the page has. */
export async function catalog(lang = "en") {
  const response = await fetch(`${origin}/explorer/actions.json?lang=${lang}`);
  assert.equal(response.status, 200);
  return response.json();
}

/** Returns the actions of the catalog, each with the id of its product. */
export function actionsOf(list) {
  return list.products.flatMap(({ product, actions }) => actions.map((action) => ({ product, ...action })));
}

/** Returns values for the parameters of an action, which its server accepts. */
export function filling(action) {
  const values = action.parameters.map((parameter) => {
    const value = SPAN[parameter.name] ?? parameter.values?.[0]?.spelling;
    assert.ok(value, `tell ${import.meta.url} a value of ${parameter.name}, which ${action.name} has`);
    return [parameter.name, value];
  });
  return Object.fromEntries(values);
}

/** Returns a list to which everything is added that a page must not do. */
export async function watch(page, withScripts = true) {
  const problems = [];
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy ${event.violatedDirective} forbids ${event.blockedURI}`);
    });
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.message}`));
  page.on("console", (message) => {
    const about = message.location().url;
    // Chromium reports each refusal of the API and of the doctor as an error of the page.
    const refusal = /status of 4\d\d/.test(message.text()) && ["/", "/explorer/explain"].includes(new URL(about).pathname);
    if (["error", "warning"].includes(message.type()) && !refusal) problems.push(`console: ${message.text()} (${about})`);
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) problems.push(`request to another origin: ${request.url()}`);
    const sent = `${request.url()}\n${JSON.stringify(request.headers())}\n${request.postData() ?? ""}`;
    if (sent.includes(SECRET) || sent.includes(encodeURIComponent(SECRET))) problems.push(`a secret is sent: ${sent}`);
  });
  page.on("requestfailed", (request) => {
    const failure = request.failure()?.errorText;
    // A test that leaves a page early cancels what is still loading. A browser without scripts does not load modules.
    const expected = failure === "net::ERR_ABORTED" || (failure === "csp" && !withScripts);
    if (!expected) problems.push(`failed: ${request.url()} ${failure}`);
  });
  return problems;
}

/** Opens the explorer. */
export async function open(page, query = "") {
  await page.goto(`${origin}/explorer/${query}`);
  await loaded(page);
}

/** Waits until the form and the samples of the explorer are there. */
export async function loaded(page) {
  await page.waitForFunction(() => document.querySelector("#version").value);
  await page.waitForFunction(() => document.querySelector("#sample-code").textContent);
}

/** Fills the form. `account` is the id of an access key of a demo account. */
export async function fill(page, { product, action, account, version, signature, method, format, parameters = {} }) {
  if (action) await page.click(`a[data-action="${action}"][data-product="${product}"]`);
  if (account) await chooseAccount(page, account);
  for (const [id, value] of Object.entries({ version, signature, method, format })) {
    if (value) await page.selectOption(`#${id}`, value);
  }
  for (const [name, value] of Object.entries(parameters)) {
    const field = page.locator(`#form [name="${name}"]`);
    if ((await field.evaluate((element) => element.tagName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
}

/** Selects the demo account with an access key. */
export async function chooseAccount(page, keyId) {
  const value = await page.locator("#account option").evaluateAll((options, wanted) => {
    const words = (option) => `${option.value} ${option.textContent}`.split(/[^\w-]+/);
    return options.find((option) => words(option).includes(wanted))?.value;
  }, keyId);
  assert.ok(value !== undefined, `no demo account ${keyId} to choose`);
  await page.selectOption("#account", value);
}

/** Types a key that is not of the list. */
export async function typeKey(page, keyId, secret, token) {
  const own = await page.locator("#account option").evaluateAll((options) => {
    return options.find((option) => !/testid/.test(`${option.value} ${option.textContent}`))?.value;
  });
  if (own !== undefined) await page.selectOption("#account", own);
  await page.fill("#key-id", keyId);
  await page.fill("#key-secret", secret);
  if (token !== undefined) await page.fill("#security-token", token);
}

/** Runs the form by `act` (a click by default). Returns what went over the wire and what the page then shows. */
export async function run(page, act = () => page.click("#run")) {
  const answer = page.waitForResponse((response) => {
    const url = new URL(response.url());
    return url.origin === origin && url.pathname === "/";
  });
  await act();
  const response = await answer;
  const body = await response.text();
  const requestId = /[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}/.exec(body)?.[0];
  assert.ok(requestId, `no request id in ${body}`);
  await page.waitForFunction((id) => document.querySelector("#request-id")?.textContent.includes(id), requestId);
  return { request: response.request(), httpStatus: response.status(), body, requestId, ...(await shown(page)) };
}

/** Returns the texts of the result. */
export async function shown(page) {
  const ids = {
    status: "status",
    duration: "duration",
    json: "reply-json",
    xml: "reply-xml",
    headers: "reply-headers",
    sent: "request-sent",
    canonical: "canonical",
    stringToSign: "string-to-sign",
    mac: "mac",
  };
  return page.evaluate((names) => {
    const text = (id) => document.getElementById(id)?.textContent ?? null;
    return Object.fromEntries(Object.entries(names).map(([key, id]) => [key, text(id)]));
  }, ids);
}

/** Calls `check` for each panel of the result, with its name; once if the page has none. */
export async function eachPanel(page, check) {
  const tabs = await page.locator("#result [role=tab]").all();
  if (tabs.length === 0) await check("");
  for (const tab of tabs) {
    await tab.click();
    await check(await tab.innerText());
  }
}

/** Returns a reply without its request id, to compare replies. */
export function withoutId(json) {
  const { RequestId, ...rest } = JSON.parse(json);
  assert.ok(RequestId);
  return rest;
}
