// The samples as a user gets them: copied from the page, and run unchanged.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { inBrowser } from "./cases.mjs";
import { SECRET, actionsOf, catalog, fill, filling, open, run, withoutId } from "./explorer.mjs";

const it = inBrowser();
const python = fileURLToPath(new URL("../../clients/python/.venv/bin/python", import.meta.url));
const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };

/** Copies the sample in a language with the page's button. */
async function copy(page, language) {
  await page.selectOption("#sample-language", await languageValue(page, language));
  const code = await page.locator("#sample-code").textContent();
  await page.click("#copy-sample");
  await page.waitForFunction(async (shown) => (await navigator.clipboard.readText()).trim() === shown.trim(), code);
  return page.evaluate(() => navigator.clipboard.readText());
}

function languageValue(page, language) {
  return page.locator("#sample-language option").evaluateAll((options, wanted) => {
    const isWanted = (text) => text.trim().toLowerCase() === wanted;
    const found = options.find((option) => isWanted(option.value) || isWanted(option.textContent));
    return found?.value;
  }, language);
}

/** Runs Python code with the key in the environment, as a shell with the two exported variables does. */
async function runPython(code, keyId) {
  const directory = mkdtempSync(join(tmpdir(), "cdn-activation-sample-"));
  try {
    writeFileSync(join(directory, "sample.py"), code);
    const environment = { ...process.env, ALIBABA_CLOUD_ACCESS_KEY_ID: keyId, ALIBABA_CLOUD_ACCESS_KEY_SECRET: SECRET };
    return await promisify(execFile)(python, ["sample.py"], { cwd: directory, env: environment, timeout: 60_000 });
  } catch (error) {
    return { stdout: error.stdout, stderr: error.stderr ?? String(error) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

it("the Python sample of each action, copied and run unchanged, prints the same reply", clipboard, async (page, t) => {
  if (!existsSync(python)) return t.skip("tests/clients/python/.venv is missing: run tests/clients/run first");
  await open(page);
  for (const action of actionsOf(await catalog())) {
    // The sample account has opened both products already, so an opening gives the same refusal twice.
    const form = { product: action.product, action: action.name, account: "testid-opened", parameters: filling(action) };
    await fill(page, { ...form, signature: "V1", method: "POST", format: "JSON" });
    const code = await copy(page, "python");
    const reply = await run(page);
    const printed = await runPython(code, "testid-opened");
    const { Code, Message, ...rest } = withoutId(reply.body);
    if (Code) {
      assert.ok(`${printed.stdout}${printed.stderr}`.includes(Code), `${action.name}: ${printed.stdout}${printed.stderr}`);
    } else {
      const object = /\{[\s\S]*\}/.exec(printed.stdout)?.[0] ?? assert.fail(`${action.name}: ${printed.stdout}${printed.stderr}`);
      assert.deepEqual(withoutId(object), rest, action.name);
    }
  }
});

it("no sample has an open slot, or the secret of a key that was typed", clipboard, async (page) => {
  await open(page);
  for (const action of actionsOf(await catalog())) {
    await fill(page, { product: action.product, action: action.name, account: "testid", parameters: filling(action) });
    const offered = page.locator("#sample-language option");
    const languages = await offered.evaluateAll((options) => options.map(({ value }) => value));
    assert.ok(languages.length >= 10, languages.join());
    for (const language of languages) {
      await page.selectOption("#sample-language", language);
      const code = await page.locator("#sample-code").textContent();
      assert.doesNotMatch(code, /\{\{|\}\}\}|undefined|\[object/, `${action.name} ${language}`);
      assert.ok(!code.includes(SECRET), `${action.name} ${language} has the secret`);
    }
  }
});
