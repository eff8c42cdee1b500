// The labels of the page in its language, which the server chose and wrote into the document.

export const language = globalThis.document?.documentElement.lang.startsWith('zh') ? 'zh' : 'en';

let labels = {};

/** Loads JSON of this site, or fails with the address and the status. */
export async function load(path) {
  const reply = await fetch(path, { credentials: 'omit' });
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json();
}

/** Loads the labels. */
export async function loadTexts() {
  labels = await load(`texts/${language}.json`);
}

/** Returns the label of this key, with each `{name}` replaced by its value. A key without a label shows itself. */
export function text(key, values = {}) {
  return (labels[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
