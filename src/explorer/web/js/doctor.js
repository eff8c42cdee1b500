// The signature doctor. The server explains the texts; the MAC of each candidate is computed here, so that the secret does not
// leave the page.
import { by, element } from './dom.js';
import { requestText } from './run.js';
import { base64, hex, mac } from './sign.js';
import { language, text } from './texts.js';

const SECRETS = {
  as_given: (secret) => secret,
  trimmed: (secret) => secret.trim(),
};
const ENCODINGS = {
  base64,
  hex,
  base64_of_hex: (data) => base64(new TextEncoder().encode(hex(data))),
};

/** Returns the signature that a candidate gives with this secret. */
export async function candidateSignature(candidate, secret) {
  const changed = (SECRETS[candidate.secret] ?? SECRETS.as_given)(secret);
  const key = `${candidate.key_prefix ?? ''}${changed}${candidate.key_suffix ?? ''}`;
  const hash = candidate.algorithm === 'HMAC-SHA256' ? 'SHA-256' : 'SHA-1';
  const data = await mac(hash, key, candidate.string_to_sign);
  return ENCODINGS[candidate.encoding](data);
}

/** Returns the first candidate that gives the signature, or undefined. */
export async function matching(candidates, signature, secret) {
  for (const candidate of candidates) {
    if ((await candidateSignature(candidate, secret)) === signature) return candidate;
  }
  return undefined;
}

const paragraph = (label, className = '') => element('p', { className, textContent: label });

function finding(heading, { title, advice }, kind) {
  const parts = [element('h3', { textContent: heading }), paragraph(title)];
  if (advice && advice !== title) parts.push(paragraph(advice));
  return element('div', { className: `finding ${kind}` }, ...parts);
}

function difference(found) {
  const row = (label, context) => [
    element('dt', { textContent: label }),
    element('dd', {}, element('pre', { textContent: context })),
  ];
  const rows = [...row(text('server_side'), found.server), ...row(text('client_side'), found.client)];
  const heading = element('h3', { textContent: text('difference', found) });
  return element('div', { className: 'finding bad' }, heading, element('dl', { className: 'compare' }, ...rows));
}

function step({ name, text: content }) {
  const summary = element('summary', { textContent: `${text('as_server')}: ${text(name)}` });
  return element('details', {}, summary, element('pre', { textContent: content }));
}

// Says what the signature itself shows, which needs the secret.
async function bySecret(explained, secret) {
  if (!explained.signature) return paragraph(text('no_signature'), 'hint');
  if (!secret) return paragraph(text('no_secret'), 'hint');
  if (!globalThis.crypto?.subtle) return paragraph(text('no_crypto'), 'notice');
  const found = await matching(explained.candidates, explained.signature, secret);
  if (!found) return paragraph(text('no_candidate'), 'finding bad');
  if (found.code !== 'correct') return finding(text('found'), found, 'bad');
  return finding(text('correct'), { title: text('correct_note') }, 'good');
}

async function show(explained, secret) {
  const parts = [await bySecret(explained, secret)];
  parts.push(...explained.causes.map((cause) => finding(text('certain'), cause, 'bad')));
  if (explained.difference) parts.push(difference(explained.difference));
  parts.push(paragraph(text('recognised', explained), 'hint'), ...explained.steps.map(step));
  by('doctor-result').replaceChildren(...parts);
}

async function ask(body) {
  const reply = await fetch('explain', {
    method: 'POST',
    credentials: 'omit',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  // A refusal is one sentence of plain text.
  if (!reply.ok) throw new Error((await reply.text()).trim() || String(reply.status));
  return reply.json();
}

/** Explains what the fields of the doctor say. */
export async function explain() {
  const pasted = by('doctor-text').value;
  const own = by('doctor-own').value;
  if (!pasted.trim() && !own.trim()) {
    by('doctor-result').replaceChildren(paragraph(text('doctor_empty'), 'notice'));
    return;
  }
  try {
    const body = { text: pasted.trim() ? pasted : own, lang: language };
    if (own.trim()) body.client_string_to_sign = own;
    await show(await ask(body), by('doctor-secret').value);
  } catch (failure) {
    const message = failure instanceof TypeError ? text('doctor_unreachable') : failure.message;
    by('doctor-result').replaceChildren(paragraph(text('doctor_failed', { message }), 'notice'));
  }
}

/** Fills the doctor with a failed run and explains it. */
export async function examine(run, secret) {
  by('doctor-text').value = requestText(run.request);
  by('doctor-own').value = run.state.signature === 'V3' ? run.request.canonical : run.request.stringToSign;
  by('doctor-secret').value = secret;
  by('doctor').scrollIntoView();
  by('doctor-result').focus({ preventScroll: true });
  await explain();
}

/** Makes the form of the doctor work. */
export function startDoctor() {
  by('doctor-form').addEventListener('submit', (event) => {
    event.preventDefault();
    explain();
  });
}
